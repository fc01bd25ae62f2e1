"""Samples of the garment network, chapter by chapter, and how its answers are used."""

from dataclasses import dataclass, replace

from segmentation_backend.models.embedded import Recipe
from training import augment
from training.taxonomy import CLASSES, GROUP_OF_CLASS


@dataclass(frozen=True)
class Chapter:
    """Samples of one kind.

    Attributes:
        until: Fraction of all samples at which the chapter ends.
        size: Height and width of a view in pixels.
        zoom: Minimum and maximum zoom of a view, as natural logarithms.
        drawn: Fraction of drawn people.
        tagged: Fraction of photographs without masks.
    """

    until: float
    size: tuple[int, int]
    zoom: tuple[float, float] = augment.ZOOM
    drawn: float = 0.06
    tagged: float = 0.28


CHAPTERS = (
    Chapter(0.13, (192, 128), zoom=(-0.35, 0.5)),
    Chapter(0.5, (288, 192)),
    Chapter(0.84, (288, 192), drawn=0.05, tagged=0.5),
    Chapter(1.0, (384, 256), zoom=(-0.35, 0.45), drawn=0.05, tagged=0.5),
)
# For each group of labels. Labelers prefer removing a little to finding nothing, and the network
# prefers frequent classes; chosen on the validation part.
PRIORS = {
    **{"background": 0.3, "hair": 0.5, "skin": 0.35, "upper body": 1.2, "dress or jumpsuit": 2.0},
    **{"skirt": 1.0, "pants": 0.9, "footwear": 0.9, "hat": 0.8, "bag-belt": 1.0},
    **{"scarf-gloves": 1.5, "accessories or jewelry": 1.1},
}
RECIPE = Recipe(
    CLASSES,
    GROUP_OF_CLASS,
    tuple(tuple(PRIORS.values())[group] for group in GROUP_OF_CLASS),
    (61_440, 153_600, 221_184),  # names are found in the small size, edges in the large ones
    1.0,
    0.0,
)
# Without priors: they favor clothes, and would do so again in each chapter.
TEACHER = replace(RECIPE, priors=(1.0,) * len(CLASSES), areas=(86_400, 153_600, 221_184))
