"""Clicks are counted as the field counts them."""

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from sam_backend.models.base import Point
from synthetic.people import draw_figure
from training import evaluate_clicks
from training.data import DataError
from training.evaluate_clicks import MOST, Course, jittered
from training.intervals import mean_interval


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawn people; one garment each, and a strip that counts neither way."""
    folder = tmp_path_factory.mktemp("clicks")
    for name in ("photos", "masks"):
        (folder / name).mkdir()
    for seed in (9101, 9104, 9105):
        figure = draw_figure(seed, 240, 160)
        mask = np.where(max(figure.masks.values(), key=np.sum), 7, 0).astype(np.uint8)
        mask[:20] = 255
        cv2.imwrite(str(folder / "photos" / f"{seed}.png"), figure.image[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"{seed}.png"), mask)
    return folder


def test_it_prints_and_saves_table_csv_and_contact_sheet(
    photographs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["evaluate_clicks", "--data", str(photographs), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    evaluate_clicks.main()
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("NoC@90", "GrabCut", "jittered", "RITM", "5.19"))
    assert (tmp_path / "clicks.png").stat().st_size > 1000
    assert "NoC@85" in (tmp_path / "tables.txt").read_text()
    with (tmp_path / "clicks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clicks"] for row in rows] == ["centre", "jittered"] * 3
    for row in rows:
        course = [float(row[f"iou{number}"]) for number in range(1, MOST + 1)]
        reached = [number for number, value in enumerate(course, 1) if value >= 0.9]
        assert int(row["noc90"]) == (reached[0] if reached else MOST)
        assert float(row["box"]) > 0.5


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


@pytest.mark.parametrize("missing", ["masks", "photos"])
def test_what_is_missing_is_named(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in {"masks", "photos"} - {missing}:
        (tmp_path / name).symlink_to(photographs / name)
    monkeypatch.setattr(sys, "argv", ["evaluate_clicks", "--data", str(tmp_path)])
    with pytest.raises(DataError, match=r"has no (masks|photograph)"):
        evaluate_clicks.main()
