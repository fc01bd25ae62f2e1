"""Measure both networks on a folder of photographs with masks: ``python -m training.evaluate``.

Prints the tables, and saves them with pictures of photograph, truth and answer. The parts are those
of training: what networks learned from, what choices were made on (the calibration of scores,
priors, sizes), and the test part, which decided nothing. With ``--whole`` all photographs are one
part: of a folder that no network was trained on.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from sam_backend.models.base import Mask, Point, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.frames import bounds
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from synthetic.scenes import draw_scene
from training.clicks import Bools, centre_of, iou, next_click
from training.data import Folder, Picture, partition, read_photo
from training.garment_evaluation import garment_sheet, garment_tables, measure_garments
from training.grabcut import grab_cut
from training.loop import run_program
from training.objects import LEAST_AREA, regions_of

CORRECTIONS = 5
UNSEEN_SCENES = range(9000, 9040)
SHOWN = 12  # photographs on a contact sheet


@dataclass
class Tally:
    """IoUs and seconds of one way of prompting."""

    ious: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, truth: Bools, answer: Bools, seconds: float) -> None:
        """Count one region."""
        self.ious.append(iou(truth, answer))
        self.seconds.append(seconds)

    def row(self) -> tuple[str, str, str]:
        """Regions, mean IoU, median milliseconds."""
        if not self.ious:
            return "0", "", ""
        return (
            str(len(self.ious)),
            f"{np.mean(self.ious):.3f}",
            f"{np.median(self.seconds) * 1000:.0f}",
        )


def parts_of(folder: Folder, whole: bool) -> dict[str, list[Path]]:
    """Return the photographs to measure on, by the name of their part; none is empty.

    Args:
        folder: Data set.
        whole: Take all photographs as one part: no network was trained on the folder.
    """
    photographs = folder.photographs()
    if whole:
        return {"all": photographs}
    return {name: part for name, part in vars(partition(photographs)).items() if part}


def evaluate_interactive(
    model: EmbeddedPromptableModel, folder: Folder, photographs: Sequence[Path], rivals: bool
) -> tuple[list[Table], Picture]:
    """The tables and the contact sheet, (H, W, 3) uint8 RGB, of the promptable network.

    Args:
        model: To measure.
        folder: Of the photographs; each region of a garment in it counts.
        photographs: Which of it.
        rivals: Measure GrabCut beside it, and both on drawn scenes.
    """
    tallies = {name: Tally() for name in ("box", "one click", f"{CORRECTIONS} corrections after")}
    if rivals:
        tallies["GrabCut, box"] = Tally()
    rows: list[Picture] = []
    for path in tqdm(photographs, "interactive", leave=False):
        photo, mask = read_photo(path), folder.mask_of(path)
        garments = [value for value, garment in regions_of(mask, folder.names) if garment]
        for number, truth in enumerate(mask == value for value in garments):
            answer = _measure(model, photo, truth, tallies)
            if rivals:
                _measure_grab_cut(photo, truth, tallies["GrabCut, box"])
            if len(rows) < SHOWN and number == len(rows) % len(garments):
                rows.append(_row(photo, _tinted(photo, truth), _tinted(photo, answer.pixels)))
    tables = [_tallied("Promptable network", tallies)]
    if rivals:
        tables.append(_tallied("Drawn scenes", _measure_scenes(model)))
    return tables, _sheet(rows)


def _measure_scenes(model: EmbeddedPromptableModel) -> dict[str, Tally]:
    """Boxes around things that are no garments, in scenes that no training saw."""
    tallies = {"box": Tally(), "GrabCut, box": Tally()}
    for seed in tqdm(UNSEEN_SCENES, "drawn scenes", leave=False):
        picture, masks = draw_scene(seed)
        embedding = model.embed(picture)
        for truth in (mask for mask in masks if mask.sum() >= LEAST_AREA):
            start = perf_counter()
            answer = model.segment(embedding, Prompts(bounds(truth)))
            tallies["box"].add(truth, answer.pixels, perf_counter() - start)
            _measure_grab_cut(picture, truth, tallies["GrabCut, box"])
    return tallies


def _measure_grab_cut(picture: Picture, truth: Bools, tally: Tally) -> None:
    box = bounds(truth)
    assert box is not None  # noqa: S101 - regions are never empty
    start = perf_counter()
    answer = grab_cut(picture, box)
    tally.add(truth, answer, perf_counter() - start)


def _tallied(title: str, tallies: dict[str, Tally]) -> Table:
    table = _table(title, ("prompt", "regions", "mean IoU", "ms (median)"))
    for name, tally in tallies.items():
        table.add_row(name, *tally.row())
    return table


def _measure(
    model: EmbeddedPromptableModel, photo: Picture, truth: Bools, tallies: dict[str, Tally]
) -> Mask:
    """Prompt for one region in every way; returns the answer to the box."""
    by_box, by_click, corrected = list(tallies.values())[:3]
    embedding = model.embed(photo)
    start = perf_counter()
    boxed = model.segment(embedding, Prompts(bounds(truth)))
    by_box.add(truth, boxed.pixels, perf_counter() - start)
    x, y = centre_of(truth)
    points: tuple[Point, ...] = (Point(x + 0.5, y + 0.5),)
    start = perf_counter()
    answer = model.segment(embedding, Prompts(None, points))
    by_click.add(truth, answer.pixels, perf_counter() - start)
    for _ in range(CORRECTIONS):
        click = next_click(truth, answer.pixels)
        if click is None:
            break
        points = (*points, click)
        start = perf_counter()
        answer = model.segment(embedding, Prompts(None, points), answer)
    corrected.add(truth, answer.pixels, perf_counter() - start)
    return boxed


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _tinted(photo: Picture, mask: Bools) -> Picture:
    tinted = photo // 3
    tinted[mask] = photo[mask]
    return tinted


def _row(*pictures: Picture) -> Picture:
    return np.hstack([cv2.resize(p, (200, 300), interpolation=cv2.INTER_AREA) for p in pictures])


def _sheet(rows: Sequence[Picture]) -> Picture:
    """Photograph, truth, answer; two photographs beside each other."""
    if not rows:
        return np.zeros((1, 1, 3), np.uint8)
    pairs = [np.hstack([left, right]) for left, right in zip(rows[::2], rows[1::2], strict=False)]
    return np.vstack(pairs or list(rows))


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder of photos/, masks/ and labels.json"
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="measure on all photographs as one part: no network was trained on this folder",
    )
    parser.add_argument("--out", type=Path, default=Path("runs/evaluation"), help="where to save")
    parser.add_argument("--segmentation", type=Path, help="weights; the shipped ones if not given")
    parser.add_argument("--interactive", type=Path, help="weights; the shipped ones if not given")
    parser.add_argument("--no-grabcut", action="store_true", help="leave out the slow comparison")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder = Folder.open(arguments.data)
    parts = parts_of(folder, arguments.whole)
    arguments.out.mkdir(parents=True, exist_ok=True)
    console = Console(record=True)
    garments = EmbeddedGarmentModel.load(arguments.segmentation)
    answers = {name: measure_garments(garments, folder, part) for name, part in parts.items()}
    for table in garment_tables(answers):
        console.print(table)
    last = list(answers.values())[-1].worst_first()
    _save(arguments.out / "segmentation.png", garment_sheet(garments, folder, last))
    prompted = EmbeddedPromptableModel.load(arguments.interactive)
    # The part that nothing was chosen on: clicking through all photographs would take hours.
    tables, sheet = evaluate_interactive(
        prompted, folder, list(parts.values())[-1], not arguments.no_grabcut
    )
    for table in tables:
        console.print(table)
    _save(arguments.out / "interactive.png", sheet)
    console.save_text(str(arguments.out / "tables.txt"))
    Console().print(f"Saved in {arguments.out}")


def _save(path: Path, picture: Picture) -> None:
    cv2.imwrite(str(path), picture[..., ::-1])


if __name__ == "__main__":
    run_program(main)
