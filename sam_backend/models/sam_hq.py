"""HQ-SAM (Ke et al., 2023) through transformers: Segment Anything with finer edges.

Weights: https://huggingface.co/syscv-community/sam-hq-vit-base and its larger sisters (Apache-2.0).
"""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import SamHQConfig, SamHQModel, SamHQProcessor

from ml_backend.models.blocks import autocast, fast_dtype
from ml_backend.models.pretrained import network_inputs, read_pretrained
from sam_backend.models.base import Embedding, Layout, Mask, Prompts


class SegmentAnythingHq:
    """Answers like transformers' own model and processor, but stores no image.

    Args:
        network: Network on its device, in float32.
        processor: Processor from the same folder.
        version: Version of the weights.
        dtype: Type for encoding images; clicks are always answered in float32.
    """

    def __init__(
        self, network: SamHQModel, processor: SamHQProcessor, version: str, dtype: torch.dtype
    ) -> None:
        self._network: Any = network
        self._processor: Any = processor
        self.version = version
        self._dtype = dtype

    @classmethod
    def load_folder(
        cls, folder: Path, version: str, device: str, dtype: torch.dtype | None = None
    ) -> Self:
        """Load a folder in transformers' format.

        Raises:
            ModelError: The folder is damaged.
        """
        # A verified folder, not a name on a hub.
        config = SamHQConfig.from_pretrained(folder, local_files_only=True)  # nosec B615
        network: Any = read_pretrained(SamHQModel, folder, config)
        processor = SamHQProcessor.from_pretrained(folder, local_files_only=True)  # nosec B615
        return cls(network.to(device), processor, version, dtype or fast_dtype(device))

    @property
    def device(self) -> str:
        """Device of the network."""
        return str(self._network.device)

    @property
    def input_side(self) -> int:
        """Side of the network's square input in pixels."""
        return int(self._network.config.vision_config.image_size)

    @torch.inference_mode()
    def embed(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """Encode an image, (H, W, 3) uint8 RGB.

        The tensors are ``features`` (C, h, w) and ``early`` (h, w, D) of the first block, the
        source of fine edges; float32.
        """
        inputs = network_inputs(self._processor, image)
        device = self._network.device
        with autocast(device, self._dtype):
            features, early = self._network.get_image_embeddings(inputs["pixel_values"].to(device))
        tensors = {"features": features[0].float(), "early": early[0][0].float()}
        return Embedding(image.shape[0], image.shape[1], tensors)

    def layout(self, height: int, width: int) -> Layout:  # noqa: ARG002 - padded to one square
        """See ``PromptableModel.layout``."""
        vision = self._network.config.vision_config
        side = vision.image_size // vision.patch_size
        return {
            "features": ((vision.output_channels, side, side), torch.float16),
            "early": ((side, side, vision.hidden_size), torch.float16),
        }

    @torch.inference_mode()
    def segment(self, embedding: Embedding, prompts: Prompts, previous: Mask | None = None) -> Mask:
        """Return the mask of one object; of the three masks for a lone click, the best-rated one.

        The logits of the result are float32, a quarter of the network's square input.
        """
        lone_click = prompts.box is None and len(prompts.points) == 1 and previous is None
        height, width = self._input_size(embedding)
        answer = self._network(
            image_embeddings=self._tensor(embedding.tensors["features"])[None],
            intermediate_embeddings=[self._tensor(embedding.tensors["early"])[None]],
            input_masks=None if previous is None else self._tensor(previous.logits)[None, None],
            multimask_output=lone_click,
            **self._inputs(prompts.scaled(width / embedding.width, height / embedding.height)),
        )
        ratings = answer.iou_scores[0, 0]
        best = int(ratings.argmax())
        logits = answer.pred_masks[0, 0, best, None, None]
        (pixels,) = self._processor.post_process_masks(
            [logits], [(embedding.height, embedding.width)], [(height, width)]
        )
        return Mask(
            pixels=pixels[0, 0].cpu().numpy(),
            score=float(ratings[best].clamp(0, 1)),
            logits=logits[0, 0].cpu().numpy(),
        )

    def _input_size(self, embedding: Embedding) -> tuple[int, int]:
        """Return height and width of the image in the network's square."""
        scale = self.input_side / max(embedding.height, embedding.width)
        return int(embedding.height * scale + 0.5), int(embedding.width * scale + 0.5)

    def _inputs(self, prompts: Prompts) -> dict[str, Tensor]:
        """Return prompts in pixels of the network's input as its tensors."""
        inputs: dict[str, Tensor] = {}
        if prompts.points:
            points = [[point.x, point.y] for point in prompts.points]
            labels = [int(point.positive) for point in prompts.points]
            inputs["input_points"] = self._tensor(np.array(points, np.float32))[None, None]
            inputs["input_labels"] = self._tensor(np.array(labels, np.float32)).int()[None, None]
        if box := prompts.box:
            corners = np.array([box.left, box.top, box.right, box.bottom], np.float32)
            inputs["input_boxes"] = self._tensor(corners)[None, None]
        return inputs

    def _tensor(self, values: Tensor | npt.NDArray[Any]) -> Tensor:
        return torch.as_tensor(values).to(self._network.device, torch.float32)


def is_sam_hq(folder: Path) -> bool:
    """Return whether a folder's config.json is that of HQ-SAM."""
    try:
        kind = json.loads((folder / "config.json").read_text()).get("model_type")
    except (OSError, ValueError):
        return False
    return bool(kind == "sam_hq")
