import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudio.consensus.merge import (
    disagreement_map,
    majority,
    merge_choices,
    staple,
)

RANDOM = np.random.default_rng(3)


def disk(x: float, y: float, radius: float) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    rows, columns = np.mgrid[:80, :80]
    inside: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = (
        np.hypot(rows - y, columns - x) < radius
    )
    return inside


def test_a_majority_is_more_than_half() -> None:
    votes = np.array([[[1, 1, 1, 0]], [[1, 1, 0, 0]], [[1, 0, 0, 0]]], bool)
    assert majority(votes).tolist() == [[True, True, False, False]]
    assert majority(votes[:2]).tolist() == [[True, True, False, False]], "of two, both"


def test_staple_of_annotators_who_agree_is_what_they_say() -> None:
    mask = disk(40, 40, 20)
    assert (staple(np.stack([mask] * 3)) == mask).all()
    assert not staple(np.zeros((3, 80, 80), bool)).any()


def test_staple_trusts_those_who_are_reliable() -> None:
    """Two of five guess: a majority loses where two reliable ones are outvoted, STAPLE does not."""
    truth = disk(40, 40, 22)
    good = [truth ^ (RANDOM.random(truth.shape) < 0.03) for _ in range(2)]
    bad = [disk(40, 40, 30) & (RANDOM.random(truth.shape) < 0.55) for _ in range(3)]
    votes = np.stack([*good, *bad])

    def iou(found: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> float:
        return float((found & truth).sum() / (found | truth).sum())

    assert iou(staple(votes)) > 0.9
    assert iou(staple(votes)) > iou(majority(votes)) + 0.05


@given(st.integers(1, 6), st.integers(0, 2**30))
def test_staple_has_what_all_marked_and_nothing_that_nobody_did(raters: int, seed: int) -> None:
    votes = np.random.default_rng(seed).random((raters, 6, 7)) < 0.5
    found = staple(votes)
    assert not found[~votes.any(axis=0)].any()
    assert found[votes.all(axis=0)].all()


@pytest.mark.parametrize(
    ("answers", "multiple", "expected"),
    [
        ([["a"], ["a"], ["b"]], False, ["a"]),
        ([["a"], ["b"]], False, []),
        ([], False, []),
        ([["a", "b"], ["b"], ["b", "c"]], True, ["b"]),
        ([["a"], ["a", "b"], ["b"], []], True, []),
        ([["a"], []], True, []),
    ],
)
def test_choices_are_merged_by_votes(
    answers: list[list[str]], multiple: bool, expected: list[str]
) -> None:
    assert merge_choices(answers, multiple=multiple) == expected


def test_a_map_is_brightest_where_half_marked_a_label() -> None:
    one, other = np.array([[[1, 1, 0]], [[1, 0, 0]]], bool), np.zeros((2, 1, 3), bool)
    assert disagreement_map([one, other], 1, 3).tolist() == [[0, 255, 0]]
    third = np.array([[[1]], [[1]], [[0]]], bool)
    assert disagreement_map([third], 1, 1).tolist() == [[round(255 * 8 / 9)]]
