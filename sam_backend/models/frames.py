"""Cut the part of a picture that a prompt is about, and paste the answer back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from sam_backend.models.base import Box, Point

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]
Number = TypeVar("Number", np.uint8, np.float32)

SLIMMEST = 0.5  # a frame's shorter side is at least this share of its longer one
SMALLEST = 24  # pixels
DISC = 0.022  # radius of a click, in sides of the network's square input


@dataclass(frozen=True)
class Frame:
    """Rectangle of whole pixels; may extend beyond the picture."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, box: Box, margin: float) -> "Frame":
        """Return ``box`` with ``margin`` times its sides around it, not too small or too slim."""
        width, height = (box.right - box.left) * margin, (box.bottom - box.top) * margin
        least = max(SMALLEST, SLIMMEST * max(width, height))
        width, height = max(width, least), max(height, least)
        x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        left, top = round(x - width / 2), round(y - height / 2)
        return cls(left, top, left + round(width), top + round(height))

    def scaled(self, across: float, down: float) -> "Frame":
        """Return the same part of a picture scaled by these factors."""
        left, top = round(self.left * across), round(self.top * down)
        right, bottom = round(self.right * across), round(self.bottom * down)
        return Frame(left, top, max(right, left + 1), max(bottom, top + 1))

    def cut(self, picture: npt.NDArray[Number], side: int) -> npt.NDArray[Number]:
        """Return this part of ``picture`` at (side, side); beyond its edge, pixels are repeated.

        Args:
            picture: Picture (H, W) or (H, W, 3).
            side: Side of the result in pixels.
        """
        height, width = picture.shape[:2]
        # If the frame lies outside, the nearest row or column is left.
        top, bottom = _overlap(self.top, self.bottom, height)
        left, right = _overlap(self.left, self.right, width)
        inner = picture[top:bottom, left:right]
        across, down = side / (self.right - self.left), side / (self.bottom - self.top)
        size = (max(1, round((right - left) * across)), max(1, round((bottom - top) * down)))
        method = cv2.INTER_AREA if min(across, down) < 1 else cv2.INTER_LINEAR
        small = cv2.resize(inner, size, interpolation=method)
        if (top, left, bottom, right) != (self.top, self.left, self.bottom, self.right):
            x, y = size[0] / (right - left), size[1] / (bottom - top)
            matrix = np.array(
                [
                    [x / across, 0, (self.left - left + 0.5 / across) * x - 0.5],
                    [0, y / down, (self.top - top + 0.5 / down) * y - 0.5],
                ]
            )
            how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            small = cv2.warpAffine(
                small, matrix, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE
            )
        return np.asarray(small, picture.dtype)

    def paste(self, answer: Floats, size: tuple[int, int], outside: float) -> Floats:
        """Return (H, W) of ``size``: the square ``answer`` in its place, ``outside`` elsewhere."""
        whole = np.full(size, outside, np.float32)
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.bottom, size[0]), min(self.right, size[1])
        if top < bottom and left < right:
            # Like cv2.resize, but only for the part in the picture: a frame may be far larger.
            x = answer.shape[1] / (self.right - self.left)
            y = answer.shape[0] / (self.bottom - self.top)
            matrix = np.array(
                [
                    [x, 0, (left - self.left + 0.5) * x - 0.5],
                    [0, y, (top - self.top + 0.5) * y - 0.5],
                ],
            )
            whole[top:bottom, left:right] = cv2.warpAffine(
                answer,
                matrix,
                (right - left, bottom - top),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        return whole

    def place(self, points: Sequence[Point], side: int) -> list[Point]:
        """Return points on the picture in pixels of its (side, side) cut."""
        across, down = side / (self.right - self.left), side / (self.bottom - self.top)
        return [replace(p, x=(p.x - self.left) * across, y=(p.y - self.top) * down) for p in points]

    def draw_prompt(self, box: Box | None, points: Sequence[Point], side: int) -> Floats:
        """Return (3, side, side) 0 or 1: inside the box, positive clicks, negative clicks."""
        maps = np.zeros((3, side, side), np.float32)
        scale = np.array((side / (self.right - self.left), side / (self.bottom - self.top)))
        origin = np.array((self.left, self.top))
        if box is not None:
            low = np.round((np.array((box.left, box.top)) - origin) * scale).astype(int)
            high = np.round((np.array((box.right, box.bottom)) - origin) * scale).astype(int)
            low, high = np.clip(low, 0, side - 1), np.clip(high, 1, side)
            maps[0, low[1] : max(high[1], low[1] + 1), low[0] : max(high[0], low[0] + 1)] = 1
        for point in points:
            x, y = np.round((np.array((point.x, point.y)) - origin) * scale).astype(int)
            draw_click(maps[1 if point.positive else 2], int(x), int(y))
        return maps


def _overlap(low: int, high: int, size: int) -> tuple[int, int]:
    """Return the part of ``low`` to ``high`` within 0 to ``size``, at least one pixel."""
    start = min(max(low, 0), size - 1)
    return start, min(max(high, start + 1), size)


def draw_click(click_map: Floats, x: int, y: int) -> None:
    """Mark a click on a (side, side) map, in place."""
    side = click_map.shape[0]
    cv2.circle(click_map, (x, y), max(2, round(side * DISC)), (1.0,), cv2.FILLED)


def bounds(mask: npt.NDArray[np.bool_]) -> Box | None:
    """Return the bounding box of a mask; None if it is empty."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(rows):
        return None
    return Box(float(columns[0]), float(rows[0]), columns[-1] + 1.0, rows[-1] + 1.0)
