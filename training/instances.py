"""Measure instances on the validation part: ``python -m training.instances --data FOLDER``.

Prints how many pairs of shoes (two separate parts in the truth) become two regions, and for each
score how often a region saves work: where it covers a garment with an IoU of at least 0.5, whatever
its label (one key changes that). The default of ``SCORE_THRESHOLD`` is where that becomes likelier
than not.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from segmentation_backend.models.base import ClassMap, Instance
from segmentation_backend.models.embedded import EmbeddedGarmentModel, garment_instances
from training.clicks import Bools, iou
from training.data import Folder, Picture, partition, read_photo
from training.loop import run_program
from training.metrics import FIRST_GARMENT
from training.taxonomy import CLASSES

FOOTWEAR = CLASSES.index("footwear")
LEAST_PART = 0.25  # of the larger shoe: the truth shows a pair where the smaller one has as much
SAVES_WORK = 0.5  # IoU from which correcting a region is less work than drawing it
BIN = 0.1


@dataclass(frozen=True)
class Region:
    """Score of an answered region, and its best IoU with a garment of the truth."""

    score: float
    best_iou: float


def true_shoes(labels: Picture) -> list[Bools]:
    """Return the connected parts of footwear in a true class map, without small pieces."""
    shown = (labels == FOOTWEAR).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(shown, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return [parts == n for n in range(1, count) if areas[n - 1] >= LEAST_PART * areas.max()]


def finds_both(truth: Sequence[Bools], found: Sequence[Bools]) -> bool:
    """Return whether a pair is two regions, each shoe covered most by its own."""
    if len(found) != 2:
        return False
    shared = np.array([[(shoe & region).sum() for region in found] for shoe in truth])
    return bool(shared.argmax(1)[0] != shared.argmax(1)[1])


def true_things(labels: Picture) -> list[Instance]:
    """Return the garments of a true class map."""
    certain = np.ones(len(CLASSES), np.float32)
    return garment_instances(ClassMap(labels, certain), CLASSES)


def measured(found: Sequence[Instance], truth: Sequence[Instance]) -> list[Region]:
    """Compare the garments of an answer with those of the truth."""
    masks = [thing.mask for thing in truth if thing.class_index >= FIRST_GARMENT]
    return [
        Region(each.score, max((iou(mask, each.mask) for mask in masks), default=0.0))
        for each in found
        if each.class_index >= FIRST_GARMENT
    ]


def work_table(regions: Sequence[Region]) -> Table:
    """Return how often a region of each score saves work."""
    table = Table(title=f"Regions that save work (IoU of at least {SAVES_WORK} with a garment)")
    for column in ("score", "regions", "save work"):
        table.add_column(column, justify="right")
    for low in np.arange(0, 1, BIN):
        chosen = [each for each in regions if low <= each.score < low + BIN]
        if chosen:
            share = np.mean([each.best_iou >= SAVES_WORK for each in chosen])
            table.add_row(f"{low:.1f} to {low + BIN:.1f}", str(len(chosen)), f"{share:.0%}")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos/ and masks/")
    parser.add_argument("--segmentation", type=Path, help="weights; default: the shipped ones")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder = Folder.open(arguments.data)
    model = EmbeddedGarmentModel.load(arguments.segmentation)
    pairs, both, regions = 0, 0, list[Region]()
    for photo in tqdm(partition(folder.photographs()).validation, leave=False):
        truth = true_things(folder.class_table[folder.mask_of(photo)])
        (found,) = model.segment([read_photo(photo)])
        regions += measured(found, truth)
        shoes = true_shoes(folder.class_table[folder.mask_of(photo)])
        if len(shoes) == 2:
            pairs += 1
            both += finds_both(shoes, [i.mask for i in found if i.class_index == FOOTWEAR])
    console = Console()
    console.print(f"pairs of shoes that are two regions: {both} of {pairs}")
    console.print(work_table(regions))


if __name__ == "__main__":
    run_program(main)
