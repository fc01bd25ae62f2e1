"""Masks as polygons, for formats and programs that do not read run lengths.

A polygon has neither holes nor parts. ``trace`` joins holes to the ring around them by zero-width
cuts; for formats with a single polygon, the parts are joined in the same way, as Ultralytics joins
those of a COCO annotation.
"""

import numpy as np

from ml_backend.labelstudio.coco_rle import Rle
from ml_backend.labelstudio.outlines import LEAST_IOU, Outline, trace


def part_polygons(rle: Rle) -> list[Outline]:
    """Return a polygon for each connected part of a mask, with its holes cut out.

    Args:
        rle: Mask of at least one pixel.

    Returns:
        Polygons of three corners or more, in pixels from the image's top left corner. As
        pycocotools fills them, they have an IoU of ``LEAST_IOU`` or more with the mask.
    """
    polygons = trace(rle.mask)
    filled = [Rle.of_outline(each, rle.height, rle.width) for each in polygons]
    return polygons if Rle.union(filled).iou(rle) >= LEAST_IOU else trace(rle.mask, 0)


def one_polygon(rle: Rle) -> Outline:
    """Return a single polygon for all parts of a mask of at least one pixel.

    The line connects each part to the nearest corner of the parts before it.
    """
    joined, *others = part_polygons(rle)
    for outline in others:
        here, there = _nearest(joined, outline)
        around = np.roll(outline, -there, axis=0)
        joined = np.concatenate([joined[: here + 1], around, around[:1], joined[here:]])
    return joined


def _nearest(first: Outline, second: Outline) -> tuple[int, int]:
    """Return the indices of the two nearest corners, computing one row of distances at a time."""
    best, found = np.inf, (0, 0)
    for index, corner in enumerate(second):
        distances = ((first - corner) ** 2).sum(axis=1)
        nearest = int(distances.argmin())
        if distances[nearest] < best:
            best, found = float(distances[nearest]), (nearest, index)
    return found
