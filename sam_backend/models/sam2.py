"""SAM 2.1 (Ravi et al., 2024), EdgeTAM and SAM 3's tracker through transformers: single images.

Weights: https://huggingface.co/facebook/sam2.1-hiera-large and its smaller sisters (Apache-2.0).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    EdgeTamConfig,
    EdgeTamModel,
    PreTrainedModel,
    Sam2Config,
    Sam2Model,
    Sam2Processor,
    Sam3TrackerConfig,
    Sam3TrackerModel,
    Sam3TrackerProcessor,
)

from ml_backend.errors import ModelError
from ml_backend.models.blocks import autocast, fast_dtype
from ml_backend.models.checkpoints import Checkpoint
from ml_backend.models.pretrained import network_inputs, read_pretrained
from sam_backend.models.base import Embedding, Layout, Mask, Prompts

_CONFIGS = ("vision_config", "prompt_encoder_config", "mask_decoder_config")


class SegmentAnything2:
    """Answers like transformers' own model and processor, but stores no image.

    Args:
        network: Network on its device, in float32.
        processor: Processor from the same folder.
        version: Version of the weights.
        dtype: Type for encoding images; clicks are always answered in float32, because bfloat16
            cannot distinguish neighboring pixels.
    """

    def __init__(
        self, network: PreTrainedModel, processor: Any, version: str, dtype: torch.dtype
    ) -> None:
        self._network: Any = network
        self._processor = processor
        self._version = version
        self._dtype = dtype

    @classmethod
    def load(
        cls,
        weights: Checkpoint,
        models_dir: Path,
        device: str,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """Load published weights after verifying them.

        Args:
            weights: Checkpoint; architecture and image size are read from the files next to it.
            models_dir: Folder of the weights.
            device: Device for the network: ``cpu`` or ``cuda``.
            dtype: Type for encoding images; None: bfloat16 if the device computes in it.

        Raises:
            ModelError: A file is missing or damaged.
        """
        return cls.load_folder(weights.check(models_dir), weights.version, device, dtype)

    @classmethod
    def load_folder(
        cls, folder: Path, version: str, device: str, dtype: torch.dtype | None = None
    ) -> Self:
        """Load a folder in transformers' format: SAM 2, EdgeTAM or SAM 3, for images or video.

        Raises:
            ModelError: The folder is damaged, or contains a model of another kind.
        """
        family = _family(folder)
        network: Any = read_pretrained(family.network, folder, family.read_config(folder))
        # A verified folder, not a name on a hub.
        processor: Any = family.processor.from_pretrained(  # nosec B615
            folder, local_files_only=True
        )
        return cls(network.to(device), processor, version, dtype or fast_dtype(device))

    @property
    def version(self) -> str:
        """Version with architecture and weights."""
        return self._version

    @property
    def device(self) -> str:
        """Device of the network."""
        return str(self._network.device)

    @property
    def input_side(self) -> int:
        """Side of the network's square input in pixels."""
        config: Any = self._network.config
        return int(config.prompt_encoder_config.image_size)

    @torch.inference_mode()
    def embed(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """Encode an image, (H, W, 3) uint8 RGB.

        The tensors are the features for clicks, the finest first: three of (C, h, w) float32,
        named ``features_0`` and so on.
        """
        inputs = network_inputs(self._processor, image)
        device = self._network.device
        with autocast(device, self._dtype):
            features = self._network.get_image_embeddings(inputs["pixel_values"].to(device))
        levels = {f"features_{i}": level[0].float() for i, level in enumerate(features)}
        return Embedding(image.shape[0], image.shape[1], levels)

    def layout(self, height: int, width: int) -> Layout:  # noqa: ARG002 - squeezed to one square
        """See ``PromptableModel.layout``."""
        config: Any = self._network.config
        deepest = config.mask_decoder_config.hidden_size
        channels = deepest // 8, deepest // 4, deepest
        sizes = config.vision_config.backbone_feature_sizes
        return {
            f"features_{i}": ((count, *size), torch.float16)
            for i, (count, size) in enumerate(zip(channels, sizes, strict=True))
        }

    @torch.inference_mode()
    def segment(self, embedding: Embedding, prompts: Prompts, previous: Mask | None = None) -> Mask:
        """Return the mask of one object; of the three masks for a lone click, the best-rated one.

        The logits of the result are float32, a quarter of the network's square input.
        """
        lone_click = prompts.box is None and len(prompts.points) == 1 and previous is None
        answer = self._network(
            image_embeddings=self._features(embedding),
            input_masks=None if previous is None else self._tensor(previous.logits)[None, None],
            multimask_output=lone_click,
            **self._inputs(embedding, prompts),
        )
        ratings = answer.iou_scores[0, 0]
        best = int(ratings.argmax())
        logits = answer.pred_masks[0, 0, best, None, None]
        size = (embedding.height, embedding.width)
        (pixels,) = self._processor.post_process_masks([logits], [size])
        return Mask(
            pixels=pixels[0, 0].cpu().numpy(),
            score=float(ratings[best]),
            logits=logits[0, 0].cpu().numpy(),
        )

    def _inputs(self, embedding: Embedding, prompts: Prompts) -> Mapping[str, Tensor]:
        """Return the prompts scaled to the network's input."""
        given: dict[str, Any] = {}
        if prompts.points:
            given["input_points"] = [[[[point.x, point.y] for point in prompts.points]]]
            given["input_labels"] = [[[int(point.positive) for point in prompts.points]]]
        if box := prompts.box:
            given["input_boxes"] = [[[box.left, box.top, box.right, box.bottom]]]
        size = [embedding.height, embedding.width]
        inputs = self._processor(original_sizes=[size], return_tensors="pt", **given)
        return {name: inputs[name].to(self._network.device) for name in given}

    def _features(self, embedding: Embedding) -> list[Tensor]:
        count = len(embedding.tensors)
        return [self._tensor(embedding.tensors[f"features_{i}"])[None] for i in range(count)]

    def _tensor(self, values: Tensor | npt.NDArray[np.generic]) -> Tensor:
        return torch.as_tensor(values).to(self._network.device, torch.float32)


@dataclass(frozen=True)
class _Family:
    """Classes of transformers that load a kind of checkpoint."""

    network: Any
    processor: Any
    read_config: Callable[[Path], Any]


def _family(folder: Path) -> _Family:
    try:
        kind = str(json.loads((folder / "config.json").read_text())["model_type"])
        return _FAMILIES[kind]
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / 'config.json'} cannot be read: {error}") from error
    except KeyError as error:
        raise ModelError(
            f"{folder} is not a supported interactive segmenter: {error}",
            f"choose one of {', '.join(_FAMILIES)}",
        ) from error


def _part_of_video(config: type) -> Callable[[Path], Any]:
    """Return a reader of the image model's part of a video model's config."""

    def read(folder: Path) -> Any:
        parts = json.loads((folder / "config.json").read_text())
        return config(**{name: parts[name] for name in _CONFIGS})

    return read


def _tracker_config(folder: Path) -> Any:
    """Read the tracker's config, alone or as a part of the video model's."""
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)  # nosec B615
    if not hasattr(config, "tracker_config"):
        return config
    parts = config.tracker_config.to_dict()
    return Sam3TrackerConfig(**{name: parts[name] for name in _CONFIGS})


_SAM2 = _Family(Sam2Model, Sam2Processor, _part_of_video(Sam2Config))
_EDGETAM = _Family(EdgeTamModel, Sam2Processor, _part_of_video(EdgeTamConfig))
_SAM3 = _Family(Sam3TrackerModel, Sam3TrackerProcessor, _tracker_config)
_FAMILIES = {
    "sam2": _SAM2,
    "sam2_video": _SAM2,
    "edgetam": _EDGETAM,
    "edgetam_video": _EDGETAM,
    "sam3_tracker": _SAM3,
    "sam3_video": _SAM3,
}
