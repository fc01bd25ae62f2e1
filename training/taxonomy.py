"""Map the 59 names of Clothing Co-Parsing to the labels of ``runway_fashion.xml``.

Hosiery (socks, stockings, tights) has no label of its own and counts as other accessories;
underwear counts as swimwear, the nearest cut; a vest is a top worn over another.
"""

from segmentation_backend.classes import EMBEDDED_CLASSES

CLASSES = EMBEDDED_CLASSES
BACKGROUND = CLASSES[0]
_MEMBERS: dict[str, str] = {  # label: the names of CCP that are it
    BACKGROUND: "null",
    "hair": "hair",
    "skin": "skin",
    "jacket": "blazer jacket",
    "coat": "coat cape",
    "shirt": "shirt",
    "blouse": "blouse",
    "other tops": "top vest",
    "jersey shirt": "t-shirt",
    "dress": "dress",
    "jumpsuit": "romper bodysuit",
    "skirt": "skirt",
    "pants": "pants jeans shorts leggings",
    "knitwear": "sweater cardigan jumper hoodie sweatshirt",
    "tailleur": "suit",
    "swimwear": "swimwear bra intimate panties",
    "footwear": "boots clogs flats heels loafers pumps sandals shoes sneakers wedges",
    "scarf-gloves": "scarf gloves",
    "other accessories": "accessories glasses sunglasses socks stockings tights tie watch",
    "jewelry": "bracelet earrings necklace ring",
    "hat": "hat",
    "bag-belt": "bag belt purse wallet",
}
LABEL_OF_NAME = {name: label for label, names in _MEMBERS.items() for name in names.split()}

# Labels that are easily confused. The network decides the group first.
GROUPS: dict[str, tuple[str, ...]] = {
    BACKGROUND: (BACKGROUND,),
    "hair": ("hair",),
    "skin": ("skin",),
    "upper body": (
        "jacket",
        "coat",
        "shirt",
        "blouse",
        "other tops",
        "jersey shirt",
        "knitwear",
        "tailleur",
        "swimwear",
    ),
    "dress or jumpsuit": ("dress", "jumpsuit"),
    "skirt": ("skirt",),
    "pants": ("pants",),
    "footwear": ("footwear",),
    "hat": ("hat",),
    "bag-belt": ("bag-belt",),
    "scarf-gloves": ("scarf-gloves",),
    "accessories or jewelry": ("other accessories", "jewelry"),
}
GARMENT_GROUPS = tuple(GROUPS)[3:]
GROUP_OF_CLASS = tuple(
    next(number for number, members in enumerate(GROUPS.values()) if name in members)
    for name in CLASSES
)


def class_of_name(name: str) -> int:
    """Return the index in ``CLASSES`` of a CCP name; unknown names are background."""
    return CLASSES.index(LABEL_OF_NAME.get(name, BACKGROUND))
