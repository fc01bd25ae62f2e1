"""The label config as a prompt: what a model that reads text is asked to find."""

import re
from collections.abc import Mapping
from typing import Final

from ml_backend.labelstudio.controls import Label
from ml_backend.labelstudio.label_config import LabelConfig
from segmentation_backend.models.base import SegmentationModel, TextPromptedModel

KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "tailleur": ("women's suit",),
    "jersey shirt": ("t-shirt",),
    "other tops": ("top",),
    "other accessories": ("sunglasses", "glasses", "watch", "tie"),
    "footwear": ("shoe", "boot"),
    "knitwear": ("sweater", "cardigan"),
    "swimwear": ("swimsuit", "bikini"),
}
"""Names that are no noun phrases → phrases that are."""


def phrases_of(label: Label) -> tuple[str, ...]:
    """Return the noun phrases that stand for a label.

    Its attribute ``prompt`` ("scarf; glove"), else its ``predicted_values``, else its name: the
    phrases of a known name, or the parts of the name ("bag/belt": bag, belt).
    """
    if prompt := label.attributes.get("prompt", "").strip():
        return _parts(prompt, ";")
    if label.predicted_values:
        return label.predicted_values
    words = re.sub(r"[_\s]+", " ", label.value).strip().casefold()
    return KNOWN.get(words.replace("-", " ")) or _parts(words, "[-/,;&]") or (label.value,)


def prompted(model: SegmentationModel, label_config: LabelConfig) -> SegmentationModel:
    """Return the model for a label config: one that reads text is asked for its labels."""
    if not isinstance(model, TextPromptedModel):
        return model
    images = label_config.mask_images()
    labels = [label for image in images for label in label_config.mask_labels(image)]
    return model.for_phrases({label.value: phrases_of(label) for label in reversed(labels)})


def _parts(text: str, separators: str) -> tuple[str, ...]:
    parts = (part.strip() for part in re.split(separators, text))
    return tuple(part for part in parts if part)
