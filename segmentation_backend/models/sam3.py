"""SAM 3 (Carion et al., 2025) through transformers: finds what the labels of a config say.

Weights: https://huggingface.co/facebook/sam3 (SAM License; gated).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoConfig, Sam3Model, Sam3Processor

from ml_backend.models.pretrained import read_pretrained
from segmentation_backend.models.base import Instance, Mask

SAME_THING: Final = 0.7  # IoU from which two masks, of whatever labels, are of one thing
MOST_TEXTS: Final = 512
LEAST_LEFT: Final = 0.5  # of a mask: with less of it to itself, an instance is dropped


@dataclass(frozen=True, eq=False)
class ConceptModel:
    """Holds the network and the labels of a config; threads may share it.

    Attributes:
        network: On its device, in float32: its library's answers to the last digit.
        processor: Of the same folder.
        version: Names the weights.
        phrases: Name of each thing to find → noun phrases for it; none before ``for_phrases``.
    """

    network: Any
    processor: Any
    version: str
    phrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _texts: dict[str, tuple[Any, torch.Tensor]] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, version: str, device: str) -> Self:
        """Load a folder in transformers' format, the image model's or the video model's.

        Raises:
            ModelError: It is damaged.
        """
        # A checked folder, no name on a hub.
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)  # nosec B615
        config = getattr(config, "detector_config", None) or config
        network: Any = read_pretrained(Sam3Model, folder, config)
        processor = Sam3Processor.from_pretrained(folder, local_files_only=True)  # nosec B615
        return cls(network.to(device), processor, version)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names, after the background; empty before ``for_phrases``."""
        return ("background", *self.phrases) if self.phrases else ()

    def for_phrases(self, phrases: Mapping[str, tuple[str, ...]]) -> "ConceptModel":
        """Return the model that finds these things; features of texts are shared."""
        return replace(self, phrases=phrases)

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[Instance]]:
        """Find the labels' instances on (H, W, 3) uint8 RGB images; none shares a pixel."""
        return [apart(list(self.find(image))) for image in images]

    @torch.inference_mode()
    def find(self, image: npt.NDArray[np.uint8]) -> Iterator[Instance]:
        """Give the instances of each phrase as the library does; they may overlap."""
        inputs = self.processor(images=np.require(image, requirements="W"), return_tensors="pt")
        pixels = inputs["pixel_values"].to(self.network.device)
        vision = self.network.get_vision_features(pixel_values=pixels)
        for number, phrases in enumerate(self.phrases.values(), start=1):
            for phrase in phrases:
                found = self._find(vision, phrase, (image.shape[0], image.shape[1]))
                for score, mask in zip(found["scores"], found["masks"], strict=True):
                    shown = mask.cpu().numpy().astype(np.bool_)
                    if shown.any():
                        yield Instance.of(shown, number, float(score))

    def _find(self, vision: Any, phrase: str, size: tuple[int, int]) -> Mapping[str, Any]:
        """Instances of one phrase above the library's threshold, the presence gate included."""
        text, attention = self._text(phrase)
        outputs = self.network(vision_embeds=vision, text_embeds=text, attention_mask=attention)
        (found,) = self.processor.post_process_instance_segmentation(outputs, target_sizes=[size])
        answer: Mapping[str, Any] = found
        return answer

    def _text(self, phrase: str) -> tuple[Any, torch.Tensor]:
        """Features of a phrase, as the object that the library returns, and its mask."""
        if phrase not in self._texts:
            encoded = self.processor(text=phrase, return_tensors="pt").to(self.network.device)
            ids, attention = encoded["input_ids"], encoded["attention_mask"]
            text = self.network.get_text_features(input_ids=ids, attention_mask=attention)
            if len(self._texts) >= MOST_TEXTS:
                self._texts.clear()
            self._texts[phrase] = text, attention
        return self._texts[phrase]


def apart(instances: Sequence[Instance]) -> list[Instance]:
    """Drop doubles of a better instance, then give each pixel to the best score."""
    kept: list[Instance] = []
    for each in sorted(instances, key=lambda instance: -instance.score):
        mask = each.mask
        if any(_iou(mask, other.mask) >= SAME_THING for other in kept):
            continue
        left = mask.copy()
        for other in kept:
            left[other.box] &= ~other.crop
        if left.sum() >= LEAST_LEFT * mask.sum():
            kept.append(Instance.of(left, each.class_index, each.score))
    return kept


def _iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def is_sam3(folder: Path) -> bool:
    """Whether a folder's config.json is SAM 3's, the image model's or the video model's."""
    try:
        kind = json.loads((folder / "config.json").read_text()).get("model_type")
    except (OSError, ValueError):
        return False
    return kind in ("sam3", "sam3_video")
