"""Quality of the promptable network on each part of a data set, with confidence intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
from rich.table import Table
from tqdm import tqdm

from sam_backend.models.base import Embedding, Point, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.frames import bounds
from synthetic.scenes import draw_scene
from training.clicks import Bools, centre_of, iou, next_click
from training.data import Folder, Picture, read_photo
from training.grabcut import grab_cut
from training.intervals import mean_interval
from training.objects import LEAST_AREA, regions_of

CORRECTIONS = 5
BOX, CLICK, CORRECTED, RIVAL = (
    "box",
    "one click",
    f"{CORRECTIONS} corrections after it",
    "GrabCut, box",
)
UNSEEN_SCENES = range(9000, 9040)
SHOWN = 4  # regions each of the worst, the middle and the best on a contact sheet


@dataclass
class Tally:
    """IoUs and times of one kind of prompt, region by region.

    Attributes:
        ious: IoU of each region.
        seconds: Time of each answer in seconds; of several, the last one's.
        photographs: Name of each region's photograph.
    """

    ious: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    photographs: list[str] = field(default_factory=list)

    def cell(self) -> str:
        """Return the mean IoU with its 95 % interval."""
        if not self.ious:
            return ""
        low, high = mean_interval(self.ious, self.photographs)
        return f"{np.mean(self.ious):.3f} ({low:.3f} to {high:.3f})"


class Prompter:
    """Prompts the network for regions of a data set in every way, and records the results.

    Args:
        model: Model to measure.
        rivals: Whether to measure OpenCV's GrabCut in the same boxes.
    """

    def __init__(self, model: EmbeddedPromptableModel, rivals: bool) -> None:
        self._model, self._rivals = model, rivals
        self.tallies = {name: Tally() for name in (BOX, CLICK, CORRECTED, RIVAL)}
        self.regions: list[tuple[Path, int]] = []

    def show(self, path: Path, photo: Picture, values: Mapping[int, Bools]) -> None:
        """Prompt for the regions of one photograph, given by their value in its mask."""
        embedding = self._model.embed(photo)
        for value, truth in values.items():
            self.regions.append((path, value))
            self._show_box(path.stem, photo, embedding, truth)
            self._click(path.stem, embedding, truth)

    def _show_box(self, name: str, photo: Picture, embedding: Embedding, truth: Bools) -> None:
        box = bounds(truth)
        assert box is not None  # noqa: S101 - regions are never empty
        start = perf_counter()
        answer = self._model.segment(embedding, Prompts(box)).pixels
        self._add(BOX, name, iou(truth, answer), perf_counter() - start)
        if self._rivals:
            start = perf_counter()
            answer = grab_cut(photo, box)
            self._add(RIVAL, name, iou(truth, answer), perf_counter() - start)

    def _click(self, name: str, embedding: Embedding, truth: Bools) -> None:
        x, y = centre_of(truth)
        points: tuple[Point, ...] = (Point(x + 0.5, y + 0.5),)
        start = perf_counter()
        answer = self._model.segment(embedding, Prompts(None, points))
        seconds = perf_counter() - start
        self._add(CLICK, name, iou(truth, answer.pixels), seconds)
        for _ in range(CORRECTIONS):
            click = next_click(truth, answer.pixels)
            if click is None:
                break
            points = (*points, click)
            start = perf_counter()
            answer = self._model.segment(embedding, Prompts(None, points), answer)
            seconds = perf_counter() - start
        self._add(CORRECTED, name, iou(truth, answer.pixels), seconds)

    def _add(self, way: str, name: str, value: float, seconds: float) -> None:
        tally = self.tallies[way]
        tally.ious.append(value)
        tally.seconds.append(seconds)
        tally.photographs.append(name)

    def worst_first(self) -> list[tuple[Path, int]]:
        """Return photograph and value of each region, by the IoU of the answer to its box."""
        order = np.argsort(self.tallies[BOX].ious, kind="stable")
        return [self.regions[number] for number in order]


def measure_prompts(
    model: EmbeddedPromptableModel, folder: Folder, photographs: Sequence[Path], rivals: bool
) -> Prompter:
    """Prompt for every garment region of some photographs."""
    prompter = Prompter(model, rivals)
    for path in tqdm(photographs, "prompting", leave=False, mininterval=5):
        mask = folder.mask_of(path)
        values = [value for value, garment in regions_of(mask, folder.names) if garment]
        prompter.show(path, read_photo(path), {value: mask == value for value in values})
    return prompter


def measure_scenes(model: EmbeddedPromptableModel) -> Prompter:
    """Prompt for things that are not garments, in drawn scenes that no training used."""
    prompter = Prompter(model, rivals=True)
    for seed in tqdm(UNSEEN_SCENES, "drawn scenes", leave=False):
        picture, masks = draw_scene(seed)
        large = {n: mask for n, mask in enumerate(masks) if mask.sum() >= LEAST_AREA}
        prompter.show(Path(str(seed)), picture, large)
    return prompter


def prompt_table(answers: Mapping[str, Prompter]) -> Table:
    """Return the mean IoUs on each part with their 95 % intervals, and the times on the last."""
    table = Table(title="Promptable network, mean IoU")
    table.add_column("prompt")
    for name in (*answers, "ms (median)"):
        table.add_column(name, justify="right")
    last = list(answers.values())[-1].tallies
    for way, tally in last.items():
        if tally.ious:
            cells = [prompter.tallies[way].cell() for prompter in answers.values()]
            table.add_row(way, *cells, f"{np.median(tally.seconds) * 1000:.0f}")
    table.add_row("regions", *(str(len(prompter.regions)) for prompter in answers.values()), "")
    return table


def prompt_sheet(
    model: EmbeddedPromptableModel, folder: Folder, ranked: Sequence[tuple[Path, int]]
) -> Picture:
    """Return columns of the worst, middle and best regions: photograph, truth, answer to a box.

    Args:
        model: Model to measure.
        folder: Data set of the photographs.
        ranked: Photograph and value of regions, worst first.
    """
    middle = max(0, len(ranked) // 2 - SHOWN // 2)
    groups = ranked[:SHOWN], ranked[middle : middle + SHOWN], ranked[-SHOWN:]
    columns = [np.vstack([_row(model, folder, *each) for each in group]) for group in groups]
    tallest = max(len(column) for column in columns)
    below = [((0, tallest - len(column)), (0, 0), (0, 0)) for column in columns]
    return np.hstack([np.pad(c, pad) for c, pad in zip(columns, below, strict=True)])


def _row(model: EmbeddedPromptableModel, folder: Folder, path: Path, value: int) -> Picture:
    photo, truth = read_photo(path), folder.mask_of(path) == value
    answer = model.segment(model.embed(photo), Prompts(bounds(truth))).pixels
    views = photo, _tinted(photo, truth), _tinted(photo, answer)
    return np.hstack([cv2.resize(v, (160, 240), interpolation=cv2.INTER_AREA) for v in views])


def _tinted(photo: Picture, mask: Bools) -> Picture:
    tinted = photo // 3
    tinted[mask] = photo[mask]
    return tinted
