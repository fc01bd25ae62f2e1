"""Pictures of suggestion, submission and their difference."""

import base64
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml_backend.errors import TaskError
from ml_backend.images import ImageSource
from ml_backend.images.base import TaskAccess
from segstudio.export.mask_regions import Drawing, MaskRegion
from segstudio.export.palette import Palette
from segstudio.report.facts import ChangedImage

Pixels = npt.NDArray[np.uint8]

_LONGEST = 360
"""Pixels of a thumbnail's longer side."""

_GRAY = 200
_ADDED, _REMOVED = (0, 114, 178), (213, 94, 0)
"""Blue and orange for all kinds of color vision: Okabe and Ito, Color Universal Design, 2008."""


@dataclass(frozen=True)
class Thumbnails:
    """Three pictures of an image, as ``data:`` URIs of JPEG.

    Attributes:
        changed: Image with its suggestion and submission.
        suggestion: Image with the suggested regions.
        submission: Image with the submitted regions.
        difference: Image with the added and removed pixels.
    """

    changed: ChangedImage
    suggestion: str
    submission: str
    difference: str


def draw_thumbnails(
    changed: Iterable[ChangedImage], palette: Palette, open_source: Callable[[], ImageSource]
) -> list[Thumbnails]:
    """Draw images; the regions of an image that cannot be fetched are drawn on gray."""
    drawn, source = [], None
    for each in changed:
        source = source or open_source()
        drawn.append(_draw(each, palette, source))
    return drawn


def _draw(changed: ChangedImage, palette: Palette, source: ImageSource) -> Thumbnails:
    height, width = changed.after.size or changed.before.size or (1, 1)
    scale = min(_LONGEST / max(height, width), 1)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    photograph = _photograph(source, changed, size)
    before, after = (_union(each, size) for each in (changed.before, changed.after))
    difference = _tint(_tint(photograph, after & ~before, _ADDED), before & ~after, _REMOVED)
    return Thumbnails(
        changed,
        _encode(_overlay(photograph, changed.before, palette, size)),
        _encode(_overlay(photograph, changed.after, palette, size)),
        _encode(difference),
    )


def _photograph(source: ImageSource, changed: ChangedImage, size: tuple[int, int]) -> Pixels:
    reference, access = changed.before.picture.reference, TaskAccess(changed.task)
    try:
        pixels = source.load(reference, access=access).pixels
    except TaskError:
        return np.full((size[1], size[0], 3), _GRAY, np.uint8)
    return np.asarray(Image.fromarray(pixels).resize(size))


def _overlay(
    photograph: Pixels, drawing: Drawing, palette: Palette, size: tuple[int, int]
) -> Pixels:
    pixels = photograph
    for mask in sorted(drawing.masks, key=lambda each: -each.rle.area):
        color = palette.colors[palette[mask.region.names[0]]]
        pixels = _tint(pixels, _shrink(mask, size), color)
    return pixels


def _union(drawing: Drawing, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    whole = np.zeros(size[::-1], bool)
    for mask in drawing.masks:
        whole |= _shrink(mask, size)
    return whole


def _shrink(mask: MaskRegion, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    return np.asarray(Image.fromarray(mask.rle.mask).resize(size))


def _tint(pixels: Pixels, mask: npt.NDArray[np.bool_], color: tuple[int, int, int]) -> Pixels:
    tinted = pixels.copy()
    tinted[mask] = (pixels[mask].astype(int) * 2 + np.array(color) * 3) // 5
    return tinted


def _encode(pixels: Pixels) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
