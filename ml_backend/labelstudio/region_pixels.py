"""The pixels and the outline of a region, whatever an annotation's result holds in their place.

Every number of a region is checked in ``_coordinates``, and the size of its image in
``_check_frame``, before anything is computed from them: a result may have been written by hand, and
what pycocotools is given it takes memory for.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ml_backend.errors import SegstudioError
from ml_backend.images.settings import PILLOW_MAX_PIXELS
from ml_backend.labelstudio.brush_rle import decode_rle
from ml_backend.labelstudio.coco_rle import Outline, Rle
from ml_backend.labelstudio.results import Region, Result, Shape

FARTHEST = 1000
"""Percent of the image's size: a drag may end outside the image, but not ten images away."""

LONGEST_OUTLINE = 1_000_000
"""Pixels of an outline, of which pycocotools takes some 80 bytes each."""


class RegionError(SegstudioError):
    """The pixels of a region are unknown."""


def region_rle(region: Region) -> Rle:
    """Return the pixels of a region.

    Raises:
        RegionError: They are unknown: the brush strokes are damaged, for example.
    """
    if region.shape != "brush":
        outline = region_outline(region)
        if len(outline) < 3:
            raise RegionError(f"its outline has {len(outline)} corners")
        return Rle.of_outline(outline, region.height, region.width)
    _check_frame(region)
    strokes = region.value["rle"]
    if not isinstance(strokes, list):
        raise RegionError("its brush strokes are damaged: they are no list")
    try:
        return Rle.of_mask(decode_rle(strokes, region.height, region.width))
    except (TypeError, ValueError) as error:
        raise RegionError(f"its brush strokes are damaged: {error}") from None


def region_outline(region: Region) -> Outline:
    """Return the corners of a region that is no brush stroke; an ellipse has one for each degree.

    Raises:
        RegionError: It has no such outline.
    """
    _check_frame(region)
    try:
        find = _OUTLINES[region.shape]
        outline = find(region.value, np.array([region.width, region.height]) / 100)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise RegionError(f"its {region.shape} has no outline: {error!r}") from None
    length = float(np.abs(outline - np.roll(outline, 1, axis=0)).sum())
    if length > LONGEST_OUTLINE:
        raise RegionError(f"its outline is {length:.0f} pixels long")
    return outline


def _check_frame(region: Region) -> None:
    if region.rotation:
        raise RegionError(f"it was drawn on an image turned by {region.rotation:g} degrees")
    if region.width < 1 or region.height < 1:
        raise RegionError("it does not tell the size of its image")
    if region.width * region.height > PILLOW_MAX_PIXELS:
        raise RegionError(f"its image has {region.width} x {region.height} pixels, too many")


def _coordinates(given: Sequence[Any]) -> Outline:
    """Return numbers of a region in percent, or degrees, as an array of the same shape.

    Raises:
        RegionError: One is missing, no finite number or beyond ``FARTHEST``.
        OverflowError, TypeError, ValueError: They make no array of numbers.
    """
    numbers = np.array(given, dtype=np.float64)
    wrong = ~(np.abs(numbers) <= FARTHEST)
    if wrong.any():
        value = numbers[wrong].flat[0]
        reason = f"far outside its image: {value:g} %" if np.isfinite(value) else "no number"
        raise RegionError(f"a coordinate is {reason}")
    return numbers


def _polygon(value: Result, pixels: Outline) -> Outline:
    return _coordinates(value["points"]).reshape(-1, 2) * pixels


def _rectangle(value: Result, pixels: Outline) -> Outline:
    x, y, width, height = _coordinates([value[name] for name in ("x", "y", "width", "height")])
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) * pixels
    return _turn(corners, value) + np.array([x, y]) * pixels


def _ellipse(value: Result, pixels: Outline) -> Outline:
    x, y, *radii = _coordinates([value[name] for name in ("x", "y", "radiusX", "radiusY")])
    angles = np.radians(np.arange(360))
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _turn(circle * np.array(radii) * pixels, value) + np.array([x, y]) * pixels


_OUTLINES: Mapping[Shape, Callable[[Result, Outline], Outline]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "ellipse": _ellipse,
}


def _turn(points: Outline, value: Result) -> Outline:
    """Turn clockwise about the origin, as Label Studio does about a rectangle's first corner."""
    (degrees,) = _coordinates([value.get("rotation") or 0])
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    turned: Outline = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned
