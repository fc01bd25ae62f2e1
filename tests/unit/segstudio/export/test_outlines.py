import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ml_backend.labelstudio.coco_rle import Mask, Rle
from ml_backend.labelstudio.outlines import LEAST_IOU
from segstudio.export.outlines import one_polygon, part_polygons


def disk(size: int, radius: float, hole: float = 0) -> Mask:
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    inside: Mask = (np.hypot(x, y) < radius) & (np.hypot(x, y) >= hole)
    return inside


def coco_fill(mask: Mask) -> Rle:
    """As pycocotools reads an annotation of several polygons."""
    parts = [Rle.of_outline(each, *mask.shape) for each in part_polygons(Rle.of_mask(mask))]
    return Rle.union(parts)


def opencv_fill(mask: Mask) -> Mask:
    """As Ultralytics fills the one polygon of a line: corners cut off to whole pixels."""
    canvas = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(canvas, [one_polygon(Rle.of_mask(mask)).astype(np.int32)], (1,))
    return canvas.astype(bool)


@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_any_masks_polygons_fill_to_the_mask(mask: Mask) -> None:
    if mask.any():
        assert coco_fill(mask).iou(Rle.of_mask(mask)) >= LEAST_IOU


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(disk(300, 120, 60), id="a ring keeps its hole"),
        pytest.param(np.eye(300, dtype=bool), id="a diagonal of one pixel's width"),
        pytest.param(np.arange(200)[:, None] * np.ones(80) % 100 < 2, id="two slivers"),
        pytest.param(disk(301, 90) | (np.indices((301, 301)).sum(axis=0) < 60), id="two parts"),
    ],
)
def test_holes_slivers_and_parts_are_kept(mask: Mask) -> None:
    assert coco_fill(mask).iou(Rle.of_mask(mask)) >= LEAST_IOU


def test_an_outline_is_simplified() -> None:
    (outline,) = part_polygons(Rle.of_mask(disk(1000, 400)))
    assert len(outline) < 300


def test_one_polygon_has_the_holes_and_parts_of_the_mask() -> None:
    mask = disk(300, 120, 60)
    mask[:30, :40] = True
    filled = opencv_fill(mask)
    assert (filled & mask).sum() / (filled | mask).sum() > 0.97
    assert not filled[150, 150], "the hole"
    assert filled[10, 10], "the other part"
