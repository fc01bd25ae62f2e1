"""Which label of a project a model's class belongs to."""

import re
from collections.abc import Mapping, Sequence

from ml_backend.labelstudio.label_config import Label

EMBEDDED_CLASSES = (
    *("background", "hair", "skin", "jacket", "coat", "shirt", "blouse", "other tops"),
    *("jersey shirt", "dress", "jumpsuit", "skirt", "pants", "knitwear", "tailleur", "swimwear"),
    *("footwear", "scarf-gloves", "other accessories", "jewelry", "hat", "bag-belt"),
)
"""What the shipped network tells apart, for those that have no network at hand."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "jacket": ("blazer", "outerwear", "coat"),
    "coat": ("cape", "outerwear", "jacket"),
    "shirt": ("top", "tops", "upper clothes", "other tops"),
    "blouse": ("shirt", "top", "tops", "upper clothes", "other tops"),
    "other tops": ("top", "tops", "upper clothes", "shirt"),
    "upper clothes": ("other tops", "top", "tops", "shirt"),
    "jersey shirt": ("t shirt", "tee", "shirt", "top", "tops", "upper clothes", "other tops"),
    "knitwear": ("sweater", "pullover", "jumper", "cardigan", "top", "tops", "upper clothes"),
    "dress": ("dresses", "gown"),
    "jumpsuit": ("romper", "overall", "dress"),
    "skirt": ("skirts",),
    "pants": ("trousers", "jeans", "shorts"),
    "tailleur": ("suit",),
    "swimwear": ("swimsuit", "bikini"),
    "footwear": ("shoes", "shoe", "boots"),
    "left shoe": ("footwear", "shoes", "shoe"),
    "right shoe": ("footwear", "shoes", "shoe"),
    "scarf gloves": ("scarf", "gloves", "other accessories", "accessories"),
    "scarf": ("scarf gloves", "other accessories", "accessories"),
    "other accessories": ("accessories", "accessory", "sunglasses", "glasses"),
    "sunglasses": ("glasses", "other accessories", "accessories"),
    "jewelry": ("jewellery", "other accessories", "accessories"),
    "hat": ("hats", "headwear"),
    "bag belt": ("bag", "bags", "handbag", "belt", "purse"),
    "bag": ("bag belt", "bags", "handbag", "purse"),
    "belt": ("bag belt", "other accessories", "accessories"),
}
"""For a model's class, the labels that mean the same or contain it, nearest first."""


def match_labels(classes: Sequence[str], labels: Sequence[Label]) -> dict[int, str]:
    """Find each class its label: by ``predicted_values``, by its own name, then by ALIASES.

    Args:
        classes: A model's class names; index 0, the background, has no label.
        labels: Of the project's mask control. Names are compared without regard to case and to
            whether hyphen, underscore, slash or space joins their words.

    Returns:
        Class index → label value; classes without a label are absent.
    """
    claimed = {_key(name): label.value for label in labels for name in label.predicted_values}
    named = {_key(label.value): label.value for label in labels}
    found = {}
    for index, name in enumerate(classes[1:], start=1):
        key = _key(name)
        candidates = [named.get(alias) for alias in (key, *ALIASES.get(key, ()))]
        label = claimed.get(key) or next(filter(None, candidates), None)
        if label:
            found[index] = label
    return found


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()
