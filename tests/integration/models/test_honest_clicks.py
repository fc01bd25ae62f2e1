"""Whatever the network says: clicks are obeyed."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_backend.models.base import Box, Embedding, Mask, Point, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from synthetic.people import draw_figure

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
