"""Any segmentation checkpoint of transformers: semantic, instance or universal.

Panoptic and instance segmentation become instances, a class map one instance for each class: by the
library's own post-processing with its own thresholds, on the CPU.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, AutoImageProcessor, PreTrainedConfig
from transformers.models.auto import modeling_auto

from ml_backend.errors import ModelError
from ml_backend.models.pretrained import network_inputs, read_pretrained
from segmentation_backend.models.base import ClassMap, Instance, decide
from segmentation_backend.models.segformer import confidence
from segmentation_backend.models.things import class_instances

_BACKGROUNDS: Final = {"background", "__background__", "bg", "unlabeled", "unlabelled", "void"}
_KINDS: Final = {
    kind
    for names in (
        modeling_auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_INSTANCE_SEGMENTATION_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES,
    )
    for kind in names.values()
    if not kind.startswith(("OneFormer", "Videomt"))  # they need more than an image
}


class TransformersModel:
    """Holds a network and no image; thread-safe.

    Args:
        network: Network on its device, in float32, for answers identical to the library's.
        processor: Processor from the same folder.
        version: Version of the weights.
    """

    def __init__(self, network: Any, processor: Any, version: str) -> None:
        self._network = network
        self._processor = processor
        self.version = version
        names: Mapping[int, str] = network.config.id2label
        self._ids = sorted(names)
        first = names[self._ids[0]].strip().casefold() in _BACKGROUNDS
        self._shift = 0 if first else 1
        self._classes = tuple(names[each] for each in self._ids)

    @classmethod
    def load(cls, folder: Path, version: str, device: str) -> Self:
        """Load a folder in transformers' format; runs no code in it.

        Args:
            folder: Folder with config.json, the processor's config and safetensors.
            version: Version of the weights.
            device: Device for the network: ``cpu`` or ``cuda``.

        Raises:
            ModelError: The folder is damaged, names no classes, or has a model for another task.
        """
        kind, config = _kind(folder)
        network: Any = read_pretrained(kind, folder, config)
        try:
            processor = AutoImageProcessor.from_pretrained(  # nosec B615
                folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{folder} does not say how images are prepared: {_line(error)}",
                "add the preprocessor_config.json of the same revision",
            ) from error
        return cls(network.to(device), processor, version)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; index 0 is the background, the network's own or one put before the rest."""
        return self._classes if self._shift == 0 else ("background", *self._classes)

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[Instance]]:
        """Find the instances on (H, W, 3) uint8 RGB images; one at a time, as the library does."""
        return [self._segment_one(image) for image in images]

    @torch.inference_mode()
    def _segment_one(self, image: npt.NDArray[np.uint8]) -> list[Instance]:
        size = (image.shape[0], image.shape[1])
        inputs = network_inputs(self._processor, image)
        device = self._network.device
        given = {
            name: inputs[name].to(device)
            for name in ("pixel_values", "pixel_mask")
            if name in inputs
        }
        outputs = self._network(**given)
        for task in ("panoptic", "instance"):
            if process := getattr(self._processor, f"post_process_{task}_segmentation", None):
                (found,) = process(outputs, target_sizes=[size])
                return self._segments(found)
        return class_instances(self._class_map(outputs.logits[0].float().cpu(), size), self.classes)

    def _segments(self, found: Mapping[str, Any]) -> list[Instance]:
        numbers = found["segmentation"].cpu().numpy()
        instances = []
        for segment in found["segments_info"]:
            mask = numbers == segment["id"]
            index = self._index(int(segment["label_id"]))
            if index and mask.any():
                instances.append(Instance.of(mask, index, float(segment["score"])))
        return instances

    def _index(self, label_id: int) -> int:
        return self._ids.index(label_id) + self._shift if label_id in self._ids else 0

    def _class_map(self, logits: torch.Tensor, size: tuple[int, int]) -> ClassMap:
        indices = decide(logits.numpy(), size)
        scores = np.zeros(len(self.classes), np.float32)
        scores[self._shift :] = confidence(logits, indices).numpy()
        if self._shift:
            indices = indices.astype(np.uint16) + np.uint16(1)
        return ClassMap(indices, scores)


def _kind(folder: Path) -> tuple[Any, PreTrainedConfig]:
    """Return the network's class and config."""
    raw = _read_config(folder)
    if "auto_map" in raw:
        raise ModelError(
            f"{folder} brings code of its own, which is never run",
            "choose a checkpoint of an architecture that transformers itself has",
        )
    wanted = next(iter(raw.get("architectures") or ()), "model of unknown architecture")
    if wanted not in _KINDS:
        raise ModelError(
            f"{folder} is a {wanted}, no model for segmentation by image alone",
            "choose a checkpoint for semantic, instance or universal segmentation",
        )
    if not raw.get("id2label"):
        raise ModelError(
            f"{folder} does not name its classes: config.json has no id2label",
            'add "id2label": {"0": "background", "1": "dress", ...} to it',
        )
    try:
        config: Any = AutoConfig.from_pretrained(  # nosec B615
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, StrictDataclassError) as error:
        raise ModelError(
            f"{folder}: transformers cannot read config.json: {_line(error)}",
            "its architecture may need a newer transformers than the lock has",
        ) from error
    return getattr(transformers, wanted), config


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder / 'config.json'} cannot be read: {_line(error)}",
            "name a folder with config.json, preprocessor_config.json and model.safetensors",
        ) from error
    return config


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
