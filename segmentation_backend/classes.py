"""Garment classes of the shipped network, and synonyms for the classes of any model.

Imports nothing, so that ``segstudio`` can check a label config without torch.
"""

from collections.abc import Mapping

NOT_LEARNED_YET = (
    "none of these labels is known yet; suggestions start after about 20 annotated images"
)
"""Remark on a label config whose labels are all to be learned."""

EMBEDDED_CLASSES = (
    "background",
    "hair",
    "skin",
    "jacket",
    "coat",
    "shirt",
    "blouse",
    "other tops",
    "jersey shirt",
    "dress",
    "jumpsuit",
    "skirt",
    "pants",
    "knitwear",
    "tailleur",
    "swimwear",
    "footwear",
    "scarf-gloves",
    "other accessories",
    "jewelry",
    "hat",
    "bag-belt",
)
"""Classes of the shipped network, the background first; readable without torch."""

BODY_CLASSES = ("hair", "skin")
"""Classes of the shipped network that only people have."""

COUNTABLE_CLASSES = frozenset({"scarf-gloves", "other accessories", "jewelry", "bag-belt"})
"""Classes of the shipped network that one person can have several of, apart from each other."""

PAIRED_CLASSES = frozenset({"footwear"})
"""Classes of the shipped network that one person has at most two of."""

SYNONYMS: Mapping[str, tuple[str, ...]] = {
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
"""Labels with the same or a wider meaning, nearest first, by class of a model."""
