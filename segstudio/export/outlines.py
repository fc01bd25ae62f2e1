"""Masks as polygons, for formats and programs that read no run lengths.

A polygon has neither holes nor parts. ``trace`` joins holes to the ring around them by cuts without
width; where a format takes one polygon alone, the parts are joined likewise, as Ultralytics joins
those of a COCO annotation.
"""

import numpy as np

from ml_backend.labelstudio.coco_rle import Rle
from ml_backend.labelstudio.outlines import LEAST_IOU, Outline, trace


def part_polygons(rle: Rle) -> list[Outline]:
    """Return a polygon for each connected part of a mask, its holes cut out.

    Args:
        rle: Mask of one pixel at least.

    Returns:
        Polygons of three corners or more, in pixels from the image's top left corner. As
        pycocotools fills them, they have an IoU of ``LEAST_IOU`` or more with the mask.
    """
    polygons = trace(rle.mask)
    filled = [Rle.of_outline(each, rle.height, rle.width) for each in polygons]
    return polygons if Rle.union(filled).iou(rle) >= LEAST_IOU else trace(rle.mask, 0)


def one_polygon(rle: Rle) -> Outline:
    """Return one polygon for all parts of a mask of one pixel at least.

    It goes round all of them in one line, from each to the nearest corner of those before it.
    """
    joined, *others = part_polygons(rle)
    for outline in others:
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
