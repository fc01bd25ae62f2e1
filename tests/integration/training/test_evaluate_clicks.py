"""The program that counts clicks, on drawn people."""

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from synthetic.people import draw_figure
from training import evaluate_clicks
from training.data import DataError
from training.evaluate_clicks import MOST


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


@pytest.mark.parametrize("missing", ["masks", "photos"])
def test_what_is_missing_is_named(
    photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in {"masks", "photos"} - {missing}:
        (tmp_path / name).symlink_to(photographs / name)
    monkeypatch.setattr(sys, "argv", ["evaluate_clicks", "--data", str(tmp_path)])
    with pytest.raises(DataError, match=r"has no (masks|photograph)"):
        evaluate_clicks.main()
