"""Drawn pictures of things that no shipped model knows, with masks: something to learn from."""

import hashlib

import cv2
import numpy as np
import numpy.typing as npt

from segmentation_backend.learning.example import Example, LearningSet
from synthetic.textures import Pattern, draw_background, draw_fabric

Pixels = npt.NDArray[np.uint8]

LABELS = ("background", "ball", "crate")
_FABRICS: tuple[tuple[int, tuple[int, int, int], Pattern], ...] = (
    (1, (220, 40, 30), "dots"),
    (2, (30, 60, 200), "checks"),
)


def draw_things(seed: int, height: int = 160, width: int = 200) -> tuple[Pixels, Pixels]:
    """An RGB picture of a red ball and, in two of three, a blue crate; and its mask."""
    rng = np.random.default_rng(seed)
    picture = draw_background(rng, height, width)
    mask = np.zeros((height, width), np.uint8)
    if seed % 3:
        corner = (int(rng.integers(10, width // 2)), int(rng.integers(10, height // 2)))
        opposite = (corner[0] + int(rng.integers(50, 80)), corner[1] + int(rng.integers(50, 75)))
        cv2.rectangle(mask, corner, opposite, (2,), cv2.FILLED)
    centre = (int(rng.integers(40, width - 40)), int(rng.integers(40, height - 40)))
    cv2.circle(mask, centre, int(rng.integers(22, 36)), (1,), cv2.FILLED)
    for label, colour, pattern in _FABRICS:
        fabric = draw_fabric(rng, (height, width), np.array(colour, np.float32), pattern)
        picture[mask == label] = fabric[mask == label]
    return np.clip(picture, 0, 255).astype(np.uint8), mask


def drawn_example(seed: int) -> Example:
    """An annotated picture; its identity is that of its pixels."""
    image, mask = draw_things(seed)
    labels = tuple(LABELS[number] for number in np.unique(mask) if number)
    identity = hashlib.sha256(image.tobytes()).hexdigest()
    return Example(identity, ("ann",), labels, lambda: (image, mask))


def drawn_set(count: int, first: int = 0) -> LearningSet:
    """``count`` annotated pictures."""
    return LearningSet(LABELS, [drawn_example(seed) for seed in range(first, first + count)])
