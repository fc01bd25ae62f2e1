from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ml_backend.deadline import Deadline
from ml_backend.errors import DeadlineExceededError
from sam_backend.embedding_service import EmbeddingKey
from sam_backend.mask_refinement import STEPS, MaskRefiner, earlier
from sam_backend.models.base import Box, Embedding, Mask, Point, Prompts
from tests.support.scenes import FillModel, disc_mask, draw, soon

KEY = EmbeddingKey("digest", "fill-1")
SCENE = draw([(30, 30, 15), (90, 30, 15), (60, 70, 20)])
BOX = Box(15, 15, 45, 45)
ON_FIRST, ON_SECOND, NOT_SECOND = Point(30, 30), Point(90, 30), Point(90, 30, positive=False)

points = st.builds(
    Point, st.sampled_from([5.0, 30.0, 60.0, 90.0]), st.sampled_from([30.0, 70.0]), st.booleans()
)
prompts = st.builds(
    Prompts, st.sampled_from([None, BOX]), st.lists(points, min_size=1, max_size=40).map(tuple)
).filter(lambda p: p.box is not None or any(point.positive for point in p.points))


def clicks(count: int) -> Prompts:
    return Prompts(None, tuple(Point(5.0 + i % 100, 30.0) for i in range(count)))


@given(prompts)
def test_every_click_builds_on_the_one_before_and_late_ones_on_an_early_one(
    prompts: Prompts,
) -> None:
    before = earlier(prompts)
    if before:
        kept = len(before.points)
        assert before == Prompts(prompts.box, prompts.points[:kept])
        assert before.box or any(point.positive for point in before.points)
        assert kept == len(prompts.points) - 1 or kept >= STEPS
    else:
        assert not prompts.box
        assert not any(point.positive for point in prompts.points[:-1])


@given(prompts)
@example(Prompts(None, (ON_FIRST, NOT_SECOND, ON_SECOND, *[ON_FIRST] * STEPS)))
def test_a_mask_is_the_same_whether_or_not_the_clicks_before_were_answered_here(
    prompts: Prompts,
) -> None:
    model = FillModel()
    embedding = model.embed(SCENE)
    warm = MaskRefiner(model)
    for count in range(1, len(prompts.points)):
        shorter = Prompts(prompts.box, prompts.points[:count])
        if shorter.box or any(point.positive for point in shorter.points):
            warm.segment(KEY, embedding, shorter, soon())
    cold = MaskRefiner(model).segment(KEY, embedding, prompts, soon())
    assert np.array_equal(warm.segment(KEY, embedding, prompts, soon()).pixels, cold.pixels)


def test_a_further_click_is_one_call_that_refines_the_last_mask() -> None:
    model = FillModel()
    embedding = model.embed(SCENE)
    refiner = MaskRefiner(model)
    for count in range(1, 4):
        refiner.segment(KEY, embedding, clicks(count), soon())
    assert model.segmented == [(clicks(1), False), (clicks(2), True), (clicks(3), True)]


def test_the_same_prompts_again_cost_nothing() -> None:
    model = FillModel()
    embedding = model.embed(SCENE)
    refiner = MaskRefiner(model)
    first = refiner.segment(KEY, embedding, clicks(2), soon())
    calls = len(model.segmented)
    again = refiner.segment(KEY, embedding, clicks(2), soon())
    assert np.array_equal(again.pixels, first.pixels)
    assert np.array_equal(again.logits, first.logits)
    assert again.score == first.score
    assert len(model.segmented) == calls


def test_hundreds_of_clicks_cost_a_bounded_number_of_calls() -> None:
    model = FillModel()
    MaskRefiner(model).segment(KEY, model.embed(SCENE), clicks(300), soon())
    assert len(model.segmented) <= STEPS + 2


def test_masks_of_one_image_are_never_used_for_another() -> None:
    model = FillModel()
    refiner = MaskRefiner(model)
    other_scene = draw([(30, 30, 5)])
    refiner.segment(KEY, model.embed(SCENE), clicks(1), soon())
    mask = refiner.segment(
        EmbeddingKey("other", "fill-1"), model.embed(other_scene), clicks(1), soon()
    )
    alone = model.segment(model.embed(other_scene), clicks(1))
    assert np.array_equal(mask.pixels, alone.pixels)


def test_no_click_is_answered_after_its_deadline() -> None:
    model = FillModel()
    with pytest.raises(DeadlineExceededError):
        MaskRefiner(model).segment(KEY, model.embed(SCENE), clicks(2), Deadline.after(-1))
    assert model.segmented == []


def test_the_hundredth_box_is_one_call_more_like_the_first() -> None:
    model = FillModel()
    embedding, refiner = model.embed(SCENE), MaskRefiner(model)
    boxes = [Prompts(Box(x, 1, x + 20, 20)) for x in range(100)]
    for count in range(1, 101):
        before = len(model.segmented)
        refiner.predict(KEY, embedding, boxes[:count], soon())
        assert len(model.segmented) == before + 1


class Camera(FillModel):
    """One garment on 12 megapixels, with logits as large as the embedded model's."""

    garment = disc_mask((2000, 1500, 900), 3000, 4000)
    logits = np.zeros((768, 1024), np.float16)

    def segment(self, embedding: Embedding, prompts: Prompts, previous: Mask | None = None) -> Mask:
        self.segmented.append((prompts, previous is not None))
        return Mask(self.garment, 0.9, self.logits)


def boxes(count: int) -> list[Prompts]:
    return [Prompts(Box(x, 1, x + 20, 20)) for x in range(count)]


@pytest.mark.parametrize(
    ("turn", "counts"),
    [(lambda count: [clicks(count)], [*range(1, 21), 100]), (boxes, range(1, 11))],
    ids=["clicks", "boxes"],
)
def test_of_nine_labelers_in_turns_on_photographs_each_pays_for_the_new_prompt_alone(
    turn: Callable[[int], list[Prompts]], counts: Sequence[int]
) -> None:
    model = Camera()
    embedding, refiner = Embedding(3000, 4000, {}), MaskRefiner(model)
    for count in counts:
        for labeler in range(9):
            before = len(model.segmented)
            key = EmbeddingKey(f"photograph {labeler}", model.version)
            refiner.predict(key, embedding, turn(count), soon())
            assert len(model.segmented) == before + 1
    again = refiner.predict(key, embedding, turn(counts[-1]), soon())
    assert np.array_equal(again.pixels, model.garment)
    assert len(model.segmented) == 9 * len(counts)


def test_all_objects_are_in_the_mask_whichever_were_found_before() -> None:
    model = FillModel()
    embedding = model.embed(SCENE)
    boxes = [Prompts(Box(x, 1, x + 20, 20)) for x in (1, 50, 90)]
    alone = [MaskRefiner(model).segment(KEY, embedding, box, soon()).pixels for box in boxes]
    refiner = MaskRefiner(model)
    for some in ([0], [0, 1], [0, 1, 2], [2, 1], [1]):
        found = refiner.predict(KEY, embedding, [boxes[index] for index in some], soon())
        assert (found.pixels == np.any([alone[index] for index in some], axis=0)).all()
