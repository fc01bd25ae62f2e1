from dataclasses import replace

import numpy as np
import pytest

from segmentation_backend.learning import gate
from segmentation_backend.learning.example import IGNORE, Example, Pixels
from tests.support.learning_figures import figures


def nothing() -> tuple[Pixels, Pixels]:
    raise AssertionError("folds are made without a look at the images")


def examples(count: int) -> list[Example]:
    return [Example(f"{number:012x}".ljust(64, "0"), (), (), nothing) for number in range(count)]


def test_every_fifth_image_is_held_out_whatever_else_is_there() -> None:
    (fold,) = gate.folds(examples(50))
    assert len(fold.measured) == 10
    assert all(gate.is_held_out(each.identity) for each in fold.measured)
    (later,) = gate.folds(examples(75))
    assert {each.identity for each in fold.measured} <= {each.identity for each in later.measured}


def test_few_images_are_each_measured_once_by_a_model_that_did_not_see_them() -> None:
    folds = gate.folds(examples(24))
    measured = [each.identity for fold in folds for each in fold.measured]
    assert sorted(measured) == [each.identity for each in examples(24)]
    for fold in folds:
        seen = {each.identity for each in fold.learned}
        assert seen.isdisjoint(each.identity for each in fold.measured)
        assert len(fold.learned) + len(fold.measured) == 24


def test_iou_ignores_unknown_pixels_and_labels_that_are_nowhere() -> None:
    confusion = gate.Confusion(4)
    truth = np.array([[1, 1, 1, 2], [0, 0, IGNORE, 2]], np.uint8)
    predicted = np.array([[1, 1, 0, 2], [0, 1, 2, 3]], np.uint8)
    confusion.add(truth, predicted)
    np.testing.assert_allclose(confusion.ious(), [1 / 3, 2 / 4, 1 / 2, np.nan])


def test_a_better_model_is_promoted() -> None:
    verdict = gate.judge(figures(cup=(0.2, 0.6), hat=(0.9, 0.86), pin=(None, None)))
    assert verdict == gate.Verdict(True, "mean IoU rises from 0.550 to 0.730 on 10 images")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ({"cup": (0.1, 0.9), "hat": (0.9, 0.8)}, "'hat' would fall from IoU 0.90 to 0.80"),
        ({"cup": (0.4, 0.3), "hat": (0.9, 0.9)}, "mean IoU would not rise"),
        ({"cup": (0.4, 0.4)}, "mean IoU would not rise"),
        ({"cup": (None, None)}, "no label appears"),
    ],
)
def test_no_other_model_is(rows: dict[str, tuple[float | None, float | None]], reason: str) -> None:
    verdict = gate.judge(figures(**rows))
    assert not verdict.promoted
    assert reason in verdict.reason


def test_a_label_that_was_poor_may_fall_if_the_mean_rises() -> None:
    assert gate.judge(figures(cup=(0.45, 0.3), hat=(0.3, 0.6))).promoted


def test_means_are_of_measured_labels() -> None:
    assert figures(cup=(0.2, 0.4), pin=(None, None)).new == pytest.approx(0.4)
    assert replace(figures(), labels=()).new is None
