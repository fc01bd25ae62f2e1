"""Masks as polygons, for formats and programs that read no run lengths.

A polygon has neither holes nor parts. Where a mask has them, its outlines are joined by cuts of no
width, there and back, which every program that fills by the even-odd rule (pycocotools, OpenCV)
fills to the same mask. Ultralytics joins the parts of a COCO annotation like this too.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ml_backend.labelstudio.coco_rle import Mask, Outline, Rle

TOLERANCE = 1.0
"""Pixels by which a simplified outline may stray from the mask's own."""

CLOSE_ENOUGH = 0.99
"""IoU of a simplified polygon with its mask; below it, every corner of the mask is kept."""


def part_polygons(rle: Rle) -> list[Outline]:
    """Return a polygon for each connected part of a mask, its holes cut out.

    Args:
        rle: Mask of one pixel at least.

    Returns:
        Polygons of four corners or more, in pixels from the image's top left corner. Filled, they
        have an IoU of ``CLOSE_ENOUGH`` or more with the mask.
    """
    left, top, width, height = rle.bbox
    cropped = rle.mask[top : top + height, left : left + width]
    polygons = [part + np.array([left, top]) for part in _parts(cropped, TOLERANCE)]
    filled = [Rle.of_outline(each, rle.height, rle.width) for each in polygons]
    if filled and Rle.union(filled).iou(rle) >= CLOSE_ENOUGH:
        return polygons
    return [part + np.array([left, top]) for part in _parts(cropped, 0)]


def one_polygon(rle: Rle) -> Outline:
    """Return one polygon for all parts of a mask of one pixel at least."""
    return _join(part_polygons(rle))


def _parts(mask: Mask, tolerance: float) -> Iterator[Outline]:
    """Trace at twice the size: an outline then runs a quarter of a pixel inside the mask's border.

    So it goes round each pixel's centre, where pycocotools looks, and has an area where the mask is
    one pixel wide.
    """
    doubled = np.pad(mask.astype(np.uint8).repeat(2, axis=0).repeat(2, axis=1), 2)
    traced, tree = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outlines = [_simplify(outline, tolerance) for outline in traced]
    for number, (_, _, hole, parent) in enumerate(tree[0] if tree is not None else ()):
        if parent < 0:
            holes = []
            while hole >= 0:
                holes.append(outlines[hole])
                hole = tree[0][hole][0]
            yield (_join([outlines[number], *holes]) + 0.5) / 2 - 1


def _simplify(outline: cv2.typing.MatLike, tolerance: float) -> Outline:
    simple = cv2.approxPolyDP(outline, 2 * tolerance, closed=True) if tolerance else outline
    return (simple if len(simple) > 2 else outline)[:, 0].astype(np.float64)


def _join(outlines: Sequence[Outline]) -> Outline:
    """Go round all outlines in one line, from each to the nearest corner of those before it."""
    joined = outlines[0]
    for outline in outlines[1:]:
        here, there = _nearest(joined, outline)
        around = np.roll(outline, -there, axis=0)
        joined = np.concatenate([joined[: here + 1], around, around[:1], joined[here:]])
    return joined


def _nearest(first: Outline, second: Outline) -> tuple[int, int]:
    """Return the indices of two corners that are nearest, a row of distances at a time."""
    best, found = np.inf, (0, 0)
    for index, corner in enumerate(second):
        distances = ((first - corner) ** 2).sum(axis=1)
        nearest = int(distances.argmin())
        if distances[nearest] < best:
            best, found = float(distances[nearest]), (nearest, index)
    return found
