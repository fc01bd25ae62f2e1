"""Whatever the network says: clicks are obeyed, masks are clean."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_backend.models.base import Box, Embedding, Mask, Point, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.honest_clicks import heed, keep_direction, obey, tidy
from synthetic.people import draw_figure
from training.clicks import iou

Bools = npt.NDArray[np.bool_]
SIZE = (96, 64)  # of the drawn photograph

points = st.builds(
    Point,
    st.floats(0, SIZE[1] - 0.01),
    st.floats(0, SIZE[0] - 0.01),
    st.booleans(),
)
boxes = st.builds(
    lambda left, top, wide, tall: Box(left, top, left + wide, top + tall),
    st.floats(-5, SIZE[1] - 8),
    st.floats(-5, SIZE[0] - 8),
    st.floats(3, SIZE[1]),
    st.floats(3, SIZE[0]),
)


@pytest.fixture(scope="module")
def model() -> EmbeddedPromptableModel:
    return EmbeddedPromptableModel.load()


@pytest.fixture(scope="module")
def embedding(model: EmbeddedPromptableModel) -> Embedding:
    return model.embed(draw_figure(9105, *SIZE).image)


def at(mask: Bools, point: Point) -> bool:
    return bool(mask[int(point.y), int(point.x)])


def clicked(
    model: EmbeddedPromptableModel, embedding: Embedding, prompts: Prompts
) -> tuple[Mask, Mask]:
    """The answers to all clicks but the last, and to all."""
    before = model.segment(embedding, Prompts(prompts.box, prompts.points[:-1]))
    return before, model.segment(embedding, prompts, before)


@settings(max_examples=40, deadline=None)
@given(box=boxes, clicks=st.lists(points, min_size=1, max_size=6))
def test_no_answer_contradicts_a_click(
    model: EmbeddedPromptableModel, embedding: Embedding, box: Box, clicks: list[Point]
) -> None:
    pixels = {(int(p.x), int(p.y)): p for p in clicks}  # of two at one pixel the later counts
    for mask in clicked(model, embedding, Prompts(box, tuple(clicks)))[1:]:
        assert all(at(mask.pixels, point) == point.positive for point in pixels.values())


@settings(max_examples=40, deadline=None)
@given(box=boxes, last=points)
def test_a_positive_click_outside_adds_and_a_negative_one_inside_takes_away(
    model: EmbeddedPromptableModel, embedding: Embedding, box: Box, last: Point
) -> None:
    before, after = clicked(model, embedding, Prompts(box, (last,)))
    if last.positive and not at(before.pixels, last):
        assert after.pixels.sum() > before.pixels.sum()
    if not last.positive and at(before.pixels, last):
        assert after.pixels.sum() < before.pixels.sum()


@settings(max_examples=20, deadline=None)
@given(clicks=st.lists(points, min_size=2, max_size=8))
def test_the_same_holds_of_clicks_alone_one_after_the_other(
    model: EmbeddedPromptableModel, embedding: Embedding, clicks: list[Point]
) -> None:
    first = Point(clicks[0].x, clicks[0].y, positive=True)
    made: tuple[Point, ...] = (first,)
    mask = model.segment(embedding, Prompts(points=made))
    assert at(mask.pixels, first)
    for point in clicks[1:]:
        made = (*made, point)
        after = model.segment(embedding, Prompts(points=made), mask)
        assert at(after.pixels, point) == point.positive
        if point.positive != at(mask.pixels, point):
            grown = int(after.pixels.sum()) - int(mask.pixels.sum())
            assert grown > 0 if point.positive else grown < 0
        mask = after


def test_a_neighborhood_agrees_with_its_click_and_ends_before_the_other_kind() -> None:
    mask = np.zeros((1000, 700), np.bool_)
    obey(mask, [Point(100.5, 200.5), Point(104.5, 200.5, positive=False), Point(650.2, 990.9)])
    assert mask[200, 99:102].all()
    assert not mask[200, 103:106].any()
    assert mask[988:993, 650].all()
    assert mask[990, 648:653].all()


def test_of_two_clicks_on_one_pixel_the_later_counts() -> None:
    for positive in (True, False):
        mask = np.full((20, 20), not positive)
        obey(mask, [Point(5.2, 5.2, not positive), Point(5.8, 5.8, positive)])
        assert mask[5, 5] == positive


def test_a_click_that_was_not_understood_spreads_smoothly() -> None:
    logits = np.full((100, 100), -2.0, np.float32)
    heed(logits, [Point(50, 50), Point(-5, 300)])
    assert logits[50, 50] > 2
    assert logits[50, 80] < -1.9
    assert np.abs(np.diff(logits, axis=1)).max() < 1.5
    understood = logits.copy()
    heed(understood, [Point(50, 50), Point(10, 10, positive=False)])
    assert np.abs(understood - logits).max() < 1.5


def test_specks_and_pinholes_vanish_unless_clicked() -> None:
    logits = np.full((100, 100), -5.0, np.float32)
    logits[20:80, 20:80] = 5
    clean = logits > 0
    logits[50:52, 50:52], logits[2:4, 2:4], logits[5, 90] = -5, 5, 5
    kept = logits.copy()
    tidy(kept, [Point(3, 3), Point(50, 50, positive=False)])
    assert kept[3, 3] > 0
    assert kept[50, 50] < 0
    assert kept[5, 90] < 0
    tidy(logits, [])
    assert iou(logits > 0, clean) == 1


def test_a_mask_moves_the_way_of_its_clicks() -> None:
    last = np.zeros((40, 40), np.bool_)
    last[10:20, 10:20] = True
    smaller = np.zeros_like(last)
    smaller[30, 30] = True
    keep_direction(smaller, last, [Point(30, 30)])
    assert smaller.sum() == last.sum() + 1
    larger = np.ones_like(last)
    larger[15, 15] = False
    keep_direction(larger, last, [Point(15, 15, positive=False)])
    assert larger.sum() == last.sum() - 1
    both = np.zeros_like(last)
    keep_direction(both, last, [Point(30, 30), Point(15, 15, positive=False)])
    assert not both.any()
