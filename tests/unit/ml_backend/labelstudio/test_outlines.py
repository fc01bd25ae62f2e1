import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco  # type: ignore[import-untyped]

from ml_backend.labelstudio.outlines import LEAST_IOU, Mask, fill, trace
from synthetic.people import draw_figure


def filled(mask: Mask, tolerance: float | None = None, max_points: int | None = None) -> Mask:
    """The mask that is read back from its outlines."""
    together = np.zeros_like(mask)
    for outline in trace(mask, tolerance, max_points):
        together |= fill(outline, *mask.shape)
    return together


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def rectangle(left: int, top: int, width: int, height: int) -> Mask:
    mask = np.zeros((300, 400), np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def with_holes(height: int, width: int, *holes: tuple[int, int]) -> Mask:
    mask = np.ones((height, width), np.bool_)
    mask[tuple(np.transpose(holes))] = False
    return mask


@given(masks)
@example(with_holes(8, 12, (0, 1), (2, 5), (4, 10)))  # a cut passes the center of a pixel
def test_without_tolerance_every_pixel_comes_back(mask: Mask) -> None:
    if mask.any():
        assert (filled(mask, tolerance=0) == mask).all()


@given(masks)
def test_pycocotools_reads_the_same_pixels(mask: Mask) -> None:
    read = np.zeros_like(mask)
    if mask.any():
        for outline in trace(mask, tolerance=0):
            (encoded,) = coco.frPyObjects([outline.ravel().tolist()], *mask.shape)
            read |= coco.decode(encoded).astype(bool)
    assert (read == mask).all()


@given(masks)
def test_at_default_settings_hardly_anything_is_lost(mask: Mask) -> None:
    if mask.any():
        assert iou(filled(mask), mask) >= 0.98


@pytest.mark.parametrize("size", [(100, 100), (2, 200), (200, 2), (1, 1), (1, 300)])
def test_a_rectangle_keeps_its_size_and_a_sliver_stays_one(size: tuple[int, int]) -> None:
    mask = rectangle(20, 30, *size) if size[1] < 270 else rectangle(20, 0, *size)
    assert (filled(mask) == mask).all()
    assert (filled(mask, tolerance=1.5) == mask).all()


def test_a_diagonal_stays_a_diagonal() -> None:
    mask = np.eye(300, dtype=np.bool_)
    assert iou(filled(mask), mask) >= LEAST_IOU


def test_a_hole_stays_open_in_one_outline() -> None:
    mask = rectangle(10, 10, 200, 200) & ~rectangle(50, 60, 40, 30) & ~rectangle(150, 60, 9, 90)
    (outline,) = trace(mask)
    assert (fill(outline, *mask.shape) == mask).all()
    canvas = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(canvas, [np.round(outline - 0.5).astype(np.int32)], 1)
    assert iou(canvas > 0, mask) > 0.97, "the even-odd rule sees the hole too"


def test_garments_keep_98_percent_with_few_corners() -> None:
    for mask in draw_figure(7, 900, 600).masks.values():
        assert iou(filled(mask), mask) >= 0.98
        assert sum(map(len, trace(mask))) < 0.5 * sum(map(len, trace(mask, tolerance=0)))


@pytest.mark.parametrize("most", [3, 4, 12, 40])
def test_an_outline_has_no_more_corners_than_it_may(most: int) -> None:
    disc = np.zeros((300, 400), np.uint8)
    cv2.circle(disc, (200, 150), 100, 1, -1)
    cv2.circle(disc, (200, 150), 30, 0, -1)
    (outline,) = trace(disc > 0, max_points=most)
    assert 3 <= len(outline) <= most
    assert iou(fill(outline, 300, 400), disc > 0) > 0.3


@given(arrays(np.float64, st.tuples(st.integers(3, 8), st.just(2)), elements=st.floats(-50, 90)))
def test_any_outline_fills_pixels_of_the_image(outline: np.ndarray) -> None:
    assert fill(outline, 30, 40).shape == (30, 40)
