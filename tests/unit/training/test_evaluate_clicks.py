"""Clicks are counted as the field counts them."""

import numpy as np
import pytest

from sam_backend.models.base import Point
from training.evaluate_clicks import MOST, Course, jittered
from training.intervals import mean_interval


def test_a_course_counts_the_first_click_that_reaches_an_iou() -> None:
    course = Course("a", 1, "centre", 0.8, 0.7, (0.5, 0.86, 0.84, 0.91, *[0.89] * 16))
    assert (course.needed(0.85), course.needed(0.9), course.needed(0.95)) == (2, 4, MOST)


def test_jittered_clicks_stay_inside_and_spread_with_the_region() -> None:
    region = np.zeros((100, 100), np.bool_)
    region[20:80, 20:80] = True
    hand = np.random.default_rng(0)
    moved = [jittered(hand, Point(50.5, 50.5), region) for _ in range(300)]
    assert all(region[int(p.y), int(p.x)] for p in moved)
    assert np.std([p.x for p in moved]) == pytest.approx(6, rel=0.15)


def test_an_interval_draws_photographs_not_regions() -> None:
    values, apart = [0.0, 1.0] * 20, [str(number) for number in range(40)]
    low, high = mean_interval(values, apart)
    assert 0.3 < low < 0.4
    assert 0.6 < high < 0.7
    # All regions of one kind in one photograph: two photographs say little.
    assert mean_interval(values, ["a", "b"] * 20) == (0, 1)
    with pytest.raises(ValueError, match="no values"):
        mean_interval([], [])
