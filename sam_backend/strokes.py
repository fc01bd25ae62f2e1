"""Brush strokes of a draft, which Label Studio turns into pixels only when it submits them."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

MOST_POINTS = 20_000
"""Points of a stroke that are read: some minutes of painting."""


def has_strokes(value: Mapping[str, Any]) -> bool:
    """Return whether a region's value contains strokes, alone or on top of pixels."""
    return isinstance(value.get("touches"), list) and bool(value["touches"])


def paint(value: Mapping[str, Any], pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return pixels with the strokes of a region's value added and erased, in their order.

    Strokes that are damaged are passed over.

    Args:
        value: Value of a brush region in a draft; ``relativePoints`` are in percent of the image,
            ``relativeStrokeWidth`` in percent of its width.
        pixels: (H, W) bool, what is there before.
    """
    canvas = pixels.astype(np.uint8)
    height, width = canvas.shape
    for stroke in value["touches"]:
        read = _read(stroke, height, width)
        if read is None:
            continue
        points, thickness = read
        colour = 0 if stroke.get("type") == "eraser" else 1
        if len(points) == 1:
            cv2.circle(canvas, points[0].tolist(), thickness // 2, colour, cv2.FILLED)
        cv2.polylines(canvas, [points], False, colour, thickness)
    painted: npt.NDArray[np.bool_] = canvas.view(np.bool_)
    return painted


def _read(stroke: Any, height: int, width: int) -> tuple[npt.NDArray[np.int32], int] | None:
    """Return (N, 2) x and y, and the thickness, in pixels; None for a damaged stroke."""
    try:
        flat = np.array(stroke["relativePoints"][: 2 * MOST_POINTS], np.float64)
        points = flat.reshape(-1, 2) * [width / 100, height / 100]
        thickness = float(stroke["relativeStrokeWidth"]) * width / 100
    except (KeyError, TypeError, ValueError):
        return None
    inside = 0 < thickness <= width and bool((np.abs(points) < 10 * max(height, width)).all())
    if not len(points) or not inside:
        return None
    return np.floor(points).astype(np.int32), max(1, round(thickness))
