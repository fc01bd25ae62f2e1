"""One thing in a photograph, and how things of several labels share its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

SAME_THING: Final = 0.7
"""Minimum IoU of two masks that show one thing, whatever their labels."""

LEAST_LEFT: Final = 0.5
"""Share of its mask without which an instance is dropped."""


@dataclass(frozen=True, eq=False)
class Instance:
    """One thing in a photograph.

    The mask is a crop, so that many small things in a large photograph take little memory.

    Attributes:
        class_index: Index into the model's ``classes``.
        score: Confidence in the region, 0..1.
        crop: (h, w) bool, the mask inside the smallest box around it.
        top: First row of the crop in the photograph.
        left: First column of the crop in the photograph.
        size: (H, W) of the photograph in pixels.
        separate: Whether the model told it apart from others of its class. False for a part of
            a class map, which may continue in a part of another class with the same label.
    """

    class_index: int
    score: float
    crop: Mask
    top: int
    left: int
    size: tuple[int, int]
    separate: bool = True

    @classmethod
    def of(cls, mask: Mask, class_index: int, score: float) -> "Instance":
        """Crop a mask of (H, W) bool with at least one pixel."""
        box = box_around(mask)
        crop = mask[box].copy()
        return cls(class_index, score, crop, box[0].start, box[1].start, mask.shape[:2])

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the crop in the photograph."""
        height, width = self.crop.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def mask(self) -> Mask:
        """(H, W) bool at the photograph's size, made at each call."""
        full = np.zeros(self.size, np.bool_)
        full[self.box] = self.crop
        return full

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.crop))


def box_around(mask: Mask) -> tuple[slice, slice]:
    """Return rows and columns of the smallest box around a mask."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def apart(instances: Sequence[Instance]) -> list[Instance]:
    """Drop doubles of a better instance, then give each pixel to the best score."""
    kept: list[Instance] = []
    for each in sorted(instances, key=lambda instance: -instance.score):
        left, area = each.mask, each.area
        shared = [np.count_nonzero(left[other.box] & other.crop) for other in kept]
        if any(
            both >= SAME_THING * (area + other.area - both)
            for both, other in zip(shared, kept, strict=True)
        ):
            continue
        for other in kept:
            left[other.box] &= ~other.crop
        if np.count_nonzero(left) >= LEAST_LEFT * area:
            kept.append(Instance.of(left, each.class_index, each.score))
    return kept
