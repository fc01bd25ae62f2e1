"""What is done to the network's answer: clicks are obeyed, masks are clean."""

import numpy as np

from sam_backend.models.base import Point
from sam_backend.models.honest_clicks import heed, keep_direction, obey, tidy
from training.clicks import iou


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
