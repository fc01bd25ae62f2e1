"""Measure both networks on a folder of photographs with masks: ``python -m training.evaluate``.

Prints the tables, and saves them with pictures of photograph, truth and answer. The parts are those
of training: data that networks learned from, data for choices (calibration of scores, priors,
sizes), and the test part, which decided nothing. With ``--whole``, all photographs are one part:
for a folder that no network was trained on.
"""

import argparse
from pathlib import Path

import cv2
import torch
from rich.console import Console

from sam_backend.models.embedded import EmbeddedPromptableModel
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from training.data import Folder, Picture, partition
from training.garment_evaluation import garment_sheet, garment_tables, measure_garments
from training.loop import run_program
from training.prompt_evaluation import (
    measure_prompts,
    measure_scenes,
    prompt_sheet,
    prompt_table,
)

CLICKED = 8  # every n-th photograph of the training part: clicking through all would take hours


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
    rivals = not arguments.no_grabcut
    found = {
        name: measure_prompts(
            prompted, folder, part[:: CLICKED if name == "training" else 1], rivals
        )
        for name, part in parts.items()
    }
    console.print(prompt_table(found))
    if rivals:
        console.print(prompt_table({"drawn scenes": measure_scenes(prompted)}))
    ranked = list(found.values())[-1].worst_first()
    _save(arguments.out / "interactive.png", prompt_sheet(prompted, folder, ranked))
    console.save_text(str(arguments.out / "tables.txt"))
    Console().print(f"Saved in {arguments.out}")


def _save(path: Path, picture: Picture) -> None:
    cv2.imwrite(str(path), picture[..., ::-1])


if __name__ == "__main__":
    run_program(main)
