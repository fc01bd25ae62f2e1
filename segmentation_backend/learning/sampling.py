"""Sample places of annotated images: few enough for any number of images."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from segmentation_backend.learning.example import IGNORE, Example, Indices
from segmentation_backend.learning.features import Features
from segmentation_backend.learning.head import Samples

MOST_IMAGES: Final = 1000  # of a project, that are learned from
PER_LABEL: Final = 100  # images with a label, above which its further ones come last
PER_REGION: Final = 150  # places of a label in an image
TOTAL: Final = 40_000  # places of all images: some 250 MB while a head is fitted


def choose(examples: Sequence[Example], most: int) -> list[Example]:
    """Choose at most ``most`` examples, so that rare labels keep theirs.

    The choice depends only on the identities, not on the order.
    """
    counts: Counter[str] = Counter()
    first: list[Example] = []
    later: list[Example] = []
    for example in sorted(examples, key=lambda each: each.identity):
        rare = any(counts[label] < PER_LABEL for label in example.labels)
        (first if rare else later).append(example)
        counts.update(example.labels)
    return (first + later)[:most]


def places_per_region(examples: Sequence[Example]) -> int:
    """Return the number of samples per label and image that keeps the total within bounds."""
    regions = sum(len(example.labels) + 1 for example in examples)
    return max(1, min(PER_REGION, TOTAL // max(1, regions)))


def sample(features: Features, mask: Indices, most: int, seed: int) -> Samples:
    """Draw samples of each label, including the background.

    Args:
        features: Features of the image.
        mask: Mask (H, W) uint8 of label indices or ``IGNORE``.
        most: Maximum number of samples of each label.
        seed: Random seed.
    """
    rng = np.random.default_rng(seed)
    drawn = np.concatenate([*_drawn(mask.ravel(), most, rng), np.zeros(0, np.int64)])
    labels = mask.ravel()[drawn]
    sizes, counts = (np.bincount(each.ravel(), minlength=256) for each in (mask, labels))
    areas = sizes[labels] / counts[labels] / mask.size
    rows, columns = np.divmod(drawn, mask.shape[1])
    points = np.column_stack([(columns + 0.5) / mask.shape[1], (rows + 0.5) / mask.shape[0]])
    found = features.at(points.astype(np.float32))
    return Samples(found, labels.astype(np.int64), areas.astype(np.float32))


def _drawn(
    labels: npt.NDArray[np.uint8], most: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    for label in np.unique(labels):
        if label != IGNORE:
            places = np.flatnonzero(labels == label)
            yield rng.choice(places, min(most, len(places)), replace=False)
