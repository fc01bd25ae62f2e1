"""Small objects in large pictures: choose the part of the picture that the model sees.

A model that reduces every picture to one size, such as Segment Anything to 1024 pixels, sees little
of an object that covers a thousandth of it. Given only the part around the object, which has its
own embedding, it sees as much as in a small picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ml_backend.geometry import Box
from sam_backend.models.base import Mask, Prompts

SMALL = 0.02
"""Fraction of the picture below which a box is answered from a part of it."""

ROOM = 4
"""Minimum sides of the part, in longer sides of the box."""

_NO_LOGITS = np.zeros((0, 0), np.float16)


@dataclass(frozen=True)
class Crop:
    """Part of a picture, in whole pixels within it."""

    left: int
    top: int
    right: int
    bottom: int

    def cut(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return this part of an (H, W, 3) image."""
        return np.ascontiguousarray(image[self.top : self.bottom, self.left : self.right])

    def place(self, prompts: Prompts) -> Prompts:
        """Return prompts on the picture in pixels of this part."""
        box = prompts.box
        points = (
            replace(point, x=point.x - self.left, y=point.y - self.top) for point in prompts.points
        )
        if box is not None:
            sides = (box.left, box.top, box.right, box.bottom)
            origin = (self.left, self.top) * 2
            box = Box(*(side - start for side, start in zip(sides, origin, strict=True)))
        return Prompts(box, tuple(points))

    def paste(self, mask: Mask, height: int, width: int) -> Mask:
        """Return a mask of this part as a mask of the whole picture."""
        pixels = np.zeros((height, width), np.bool_)
        pixels[self.top : self.bottom, self.left : self.right] = mask.pixels
        return Mask(pixels, mask.score, _NO_LOGITS)

    def __str__(self) -> str:
        return f"{self.left},{self.top},{self.right},{self.bottom}"


def crop_for(prompts: Prompts, height: int, width: int, input_side: int | None) -> Crop | None:
    """Return the part of a picture to answer a prompt from.

    Parts have few sizes and positions, so that nearby boxes share one embedding.

    Args:
        prompts: Prompts in pixels of the picture.
        height: Picture height in pixels.
        width: Picture width in pixels.
        input_side: Longer side to which the model reduces every picture; None if it zooms in by
            itself.

    Returns:
        None if the whole picture is as good: for large boxes, clicks without a box or far from
        it, and pictures that the model sees at full size.
    """
    box = prompts.box
    if box is None or input_side is None or max(height, width) <= input_side:
        return None
    if box.area >= SMALL * height * width:
        return None
    side = input_side // 2
    while side < ROOM * max(box.right - box.left, box.bottom - box.top):
        side *= 2
    if side >= max(height, width):
        return None
    left = _start((box.left + box.right) / 2, side, width)
    top = _start((box.top + box.bottom) / 2, side, height)
    crop = Crop(left, top, min(left + side, width), min(top + side, height))
    area = Box(crop.left, crop.top, crop.right, crop.bottom)
    return crop if all(area.contains(point) for point in prompts.points) else None


def combine(masks: Sequence[Mask]) -> Mask:
    """Return the union of one or more masks, with the lowest of their scores."""
    if len(masks) == 1:
        return masks[0]
    pixels = np.logical_or.reduce([mask.pixels for mask in masks])
    return Mask(pixels, min(mask.score for mask in masks), _NO_LOGITS)


def _start(middle: float, side: int, length: int) -> int:
    """Return the start of a part around the middle, on a grid and within the picture."""
    step = side // 4
    start = round((middle - side / 2) / step) * step
    return min(max(start, 0), max(length - side, 0))
