"""Representation of a mask in each kind of control, and how its pixels are read back.

``SHAPES`` is the single table used by predictions, suggestions, exports, agreement and learning.
A ``value`` is that of a region in a result; its percentages refer to the image as the browser shows
it, without rotation, whatever ``image_rotation`` is. Formats: https://labelstud.io/tags
"""

import base64
import binascii
import io
import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ml_backend.errors import SegstudioError
from ml_backend.images.settings import PILLOW_MAX_PIXELS
from ml_backend.labelstudio.brush_rle import decode_rle, encode_rle
from ml_backend.labelstudio.controls import MaskOptions
from ml_backend.labelstudio.outlines import Outline, fill, trace

Mask = npt.NDArray[np.bool_]
Value = Mapping[str, Any]

FARTHEST = 1000
"""Maximum distance of a coordinate in percent: a drag may end outside the image, but not far."""

LONGEST_OUTLINE = 1_000_000
"""Maximum length of an outline in pixels: the edges of an image full of holes."""

_NAMES = {"brush": "brush strokes are", "bitmask": "bitmask is"}

_OPAQUE = 128
"""Alpha from which a pixel of a bitmask is set; strokes have soft edges."""

_POINT_PERCENT = 0.5
"""Size of a predicted keypoint, in percent of the image's width."""

_DATA_URL = "data:image/png;base64,"


class RegionError(SegstudioError, kind="region"):
    """A region's pixels cannot be determined."""


@dataclass(frozen=True)
class Shape:
    """How one kind of region represents a mask.

    Attributes:
        keys: Keys of its ``value`` that distinguish it from earlier shapes in ``SHAPES``.
        encode: Converts a non-empty mask to values without labels, one for each region.
        outline: Converts value, width and height to corners in pixels; None if it stores pixels.
        decode: Converts value, width and height to a (height, width) bool mask.
    """

    keys: frozenset[str]
    encode: Callable[[Mask, MaskOptions], list[dict[str, Any]]]
    outline: Callable[[Value, int, int], Outline] | None
    decode: Callable[[Value, int, int], Mask]


def shape_of(value: Value) -> str:
    """Return a region's shape from its geometry; empty if it has none.

    The type does not decide: several controls draw the same shapes, and ``labels`` can accompany
    any of them.
    """
    return next((name for name, shape in SHAPES.items() if shape.keys <= value.keys()), "")


def decode_region(value: Value, width: int, height: int) -> Mask:
    """Decode the pixels of a region.

    Args:
        value: Value of the region as Label Studio stores it.
        width: ``original_width`` of the region, in pixels.
        height: ``original_height`` of the region, in pixels.

    Returns:
        (height, width) bool.

    Raises:
        RegionError: The region has no pixels, or they cannot be determined; says why.
    """
    shape = _check(value, width, height)
    try:
        return SHAPES[shape].decode(value, width, height)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise RegionError(f"its {_NAMES[shape]} damaged: {error}") from None


def decode_outline(value: Value, width: int, height: int) -> Outline:
    """Return the corners of a region drawn by corners; an ellipse has one per degree.

    Raises:
        RegionError: The region has no outline.
    """
    shape = _check(value, width, height)
    outline = SHAPES[shape].outline
    if outline is None:
        raise RegionError(f"its {shape} has no outline")
    return _checked_outline(outline, shape, value, width, height)


def _check(value: Value, width: int, height: int) -> str:
    """Return the shape of a region whose image size is valid."""
    if width < 1 or height < 1:
        raise RegionError("the size of its image is missing")
    if width * height > PILLOW_MAX_PIXELS:
        raise RegionError(f"its image has {width} x {height} pixels, too many")
    shape = shape_of(value)
    if not shape:
        raise RegionError("its shape is not supported")
    return shape


def _checked_outline(
    outline: Callable[[Value, int, int], Outline], shape: str, value: Value, width: int, height: int
) -> Outline:
    try:
        corners = outline(value, width, height)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise RegionError(f"its {shape} has no outline: {error!r}") from None
    if len(corners) < 3:
        raise RegionError(f"its outline has {len(corners)} corners")
    length = float(np.abs(corners - np.roll(corners, 1, axis=0)).sum())
    if length > LONGEST_OUTLINE:
        raise RegionError(f"its outline is {length:.0f} pixels long")
    return corners


def _numbers(given: Sequence[Any]) -> Outline:
    """Return a region's numbers, in percent or degrees, as an array of the same shape.

    Raises:
        RegionError: A number is missing, not finite or beyond ``FARTHEST``.
        OverflowError, TypeError, ValueError: The values do not form an array of numbers.
    """
    numbers = np.array(given, dtype=np.float64)
    wrong = ~(np.abs(numbers) <= FARTHEST)
    if wrong.any():
        value = numbers[wrong].flat[0]
        reason = f"far outside its image: {value:g} %" if np.isfinite(value) else "not a number"
        raise RegionError(f"a coordinate is {reason}")
    return numbers


# Brush


def _encode_brush(mask: Mask, _: MaskOptions) -> list[dict[str, Any]]:
    return [{"format": "rle", "rle": encode_rle(mask)}]


def _decode_brush(value: Value, width: int, height: int) -> Mask:
    if not isinstance(value["rle"], list):
        raise RegionError("its brush strokes are damaged: they are not a list")
    return decode_rle(value["rle"], height, width)


# Bitmask


def _encode_bitmask(mask: Mask, _: MaskOptions) -> list[dict[str, Any]]:
    image = Image.fromarray(mask.view(np.uint8), "P")
    image.putpalette([0, 0, 0, 0, 0, 0])
    file = io.BytesIO()
    image.save(file, "PNG", bits=1, transparency=0)
    return [{"imageDataURL": _DATA_URL + base64.b64encode(file.getvalue()).decode("ascii")}]


def _decode_bitmask(value: Value, width: int, height: int) -> Mask:
    try:
        png = base64.b64decode(value["imageDataURL"].partition(",")[2], validate=True)
    except (AttributeError, binascii.Error):
        raise ValueError("it is not a data URL") from None
    image = Image.open(io.BytesIO(png), formats=["PNG"])
    if image.size != (width, height):
        raise ValueError(f"{image.width} x {image.height} pixels do not fit {width} x {height}")
    alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    mask: Mask = alpha >= _OPAQUE
    return mask


# Polygon and vector


def _percent(outline: Outline, mask: Mask) -> list[list[float]]:
    height, width = mask.shape
    corners: list[list[float]] = (outline * 100 / [width, height]).tolist()
    return corners


def _encode_polygons(mask: Mask, options: MaskOptions) -> list[dict[str, Any]]:
    outlines = trace(mask, options.polygon_tolerance, options.max_points)
    return [{"points": _percent(outline, mask), "closed": True} for outline in outlines]


def _polygon(value: Value, width: int, height: int) -> Outline:
    return _corners(value["points"], width, height)


def _encode_vectors(mask: Mask, options: MaskOptions) -> list[dict[str, Any]]:
    outlines = trace(mask, options.polygon_tolerance, options.max_points)
    return [{"vertices": _vertices(_percent(each, mask)), "closed": True} for each in outlines]


def _vertices(corners: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    ids = [uuid.uuid4().hex[:10] for _ in corners]
    return [
        {"id": id_, "prevPointId": before, "x": x, "y": y, "isBezier": False}
        for id_, before, (x, y) in zip(ids, [None, *ids], corners, strict=False)
    ]


def _vector(value: Value, width: int, height: int) -> Outline:
    if value.get("closed") is not True:
        raise ValueError("it is not closed")
    return _corners([[each["x"], each["y"]] for each in value["vertices"]], width, height)


def _corners(points: Sequence[Sequence[float]], width: int, height: int) -> Outline:
    return _numbers(points).reshape(-1, 2) * [width, height] / 100


# Rectangle


def _encode_rectangle(mask: Mask, _: MaskOptions) -> list[dict[str, Any]]:
    height, width = mask.shape
    x, y, across, down = cv2.boundingRect(mask.view(np.uint8))
    left, right = 100 * x / width, 100 * (x + across) / width
    top, bottom = 100 * y / height, 100 * (y + down) / height
    return [{"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0}]


def _rectangle(value: Value, width: int, height: int) -> Outline:
    across, down = value["width"], value["height"]
    corners = [[0, 0], [across, 0], [across, down], [0, down]]
    return _placed(_corners(corners, width, height), value, width, height)


# Ellipse


def _encode_ellipse(mask: Mask, _: MaskOptions) -> list[dict[str, Any]]:
    """Return the ellipse with the mask's second moments."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    spread = np.cov(columns, rows, bias=True) + np.eye(2) / 12  # variance of a single pixel
    variances, axes = np.linalg.eigh(spread)
    long, short = 2 * np.sqrt(variances[::-1])
    (across, down) = axes[:, 1]
    return [
        {
            "x": float(100 * (columns.mean() + 0.5) / width),
            "y": float(100 * (rows.mean() + 0.5) / height),
            "radiusX": float(100 * long / width),
            "radiusY": float(100 * short / height),
            "rotation": math.degrees(math.atan2(down, across)) % 180,
        }
    ]


def _ellipse(value: Value, width: int, height: int) -> Outline:
    angles = np.radians(np.arange(360))
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radii = _numbers([value["radiusX"], value["radiusY"]])
    return _placed(circle * radii * [width, height] / 100, value, width, height)


# Keypoint


def _encode_keypoint(mask: Mask, _: MaskOptions) -> list[dict[str, Any]]:
    """Return the point in the mask that is farthest from its edge."""
    height, width = mask.shape
    inside = cv2.distanceTransform(np.pad(mask, 1).view(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(inside)), mask.shape)
    x, y = 100 * (int(column) + 0.5) / width, 100 * (int(row) + 0.5) / height
    return [{"x": x, "y": y, "width": _POINT_PERCENT}]


def _decode_keypoint(_value: Value, _width: int, _height: int) -> Mask:
    raise RegionError("a keypoint has no pixels")


def _placed(points: Outline, value: Value, width: int, height: int) -> Outline:
    """Rotate clockwise about the origin, as Label Studio does, and translate."""
    degrees, x, y = _numbers([value.get("rotation") or 0, value["x"], value["y"]])
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    turned = points @ np.array([[cosine, sine], [-sine, cosine]])
    placed: Outline = turned + np.array([x, y]) * [width, height] / 100
    return placed


def _by_outline(
    name: str,
    keys: str,
    encode: Callable[[Mask, MaskOptions], list[dict[str, Any]]],
    outline: Callable[[Value, int, int], Outline],
) -> Shape:
    def decode(value: Value, width: int, height: int) -> Mask:
        return fill(_checked_outline(outline, name, value, width, height), height, width)

    return Shape(frozenset(keys.split()), encode, outline, decode)


SHAPES: Mapping[str, Shape] = {
    "brush": Shape(frozenset({"rle"}), _encode_brush, None, _decode_brush),
    "bitmask": Shape(frozenset({"imageDataURL"}), _encode_bitmask, None, _decode_bitmask),
    "polygon": _by_outline("polygon", "points", _encode_polygons, _polygon),
    "vector": _by_outline("vector", "vertices", _encode_vectors, _vector),
    "ellipse": _by_outline("ellipse", "radiusX radiusY", _encode_ellipse, _ellipse),
    "rectangle": _by_outline("rectangle", "x y width height", _encode_rectangle, _rectangle),
    "keypoint": Shape(frozenset({"x", "y"}), _encode_keypoint, None, _decode_keypoint),
}
"""Shape by ``Control.shape``; the order decides which one a value has."""
