"""Count the clicks that the promptable network needs: ``python -m training.evaluate_clicks``.

A folder has ``photos/`` and ``masks/`` (PNG of the same name; 0 background, 255 ignored, every
other value an object). The protocol is RITM's (Sofiiuk et al., 2021): each click goes into the
middle of the largest wrong part until an IoU is reached, at most 20 times. Every answer is that of
the served backend: ``MaskRefiner`` with the shipped network, each click on top of the last mask.
"""

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from ml_backend.deadline import Deadline
from sam_backend.embedding_service import EmbeddingKey
from sam_backend.mask_refinement import MaskRefiner
from sam_backend.models.base import Embedding, Point, PromptableModel, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.frames import bounds
from training.clicks import Bools, iou, next_click
from training.data import DataError, Picture, read_mask, read_photo
from training.grabcut import grab_cut
from training.intervals import mean_interval
from training.loop import run_program

MOST = 20  # clicks
LEAST = 5  # clicks, even if the object is found before
SHOWN = 4  # best, median and worst objects on the contact sheet, each
IGNORED = 255
SECONDS = 600.0  # for one answer; nobody waits for it
LAYOUT = "photos/NAME.jpg and masks/NAME.png: 0 background, 255 ignored, else objects"

# Mean clicks to 90 % IoU: Sofiiuk et al., arXiv:2102.06583; Kirillov et al., arXiv:2304.02643.
PUBLISHED = (
    ("RITM HRNet18s, 16 MB, trained on COCO and LVIS", "1.68", "2.60", "5.98"),
    ("SAM ViT-H, 2.4 GB, trained on SA-1B", "1.88", "2.09", "5.19"),
)


@dataclass(frozen=True)
class Course:
    """Sequence of clicks on one object.

    Attributes:
        photograph: Name of the photograph.
        value: Value of the object in the mask.
        clicks: "centre" or "jittered".
        box: IoU after a tight box alone.
        grabcut: IoU of OpenCV's GrabCut in that box; NaN if it was left out.
        ious: IoU after each click, ``MOST`` of them; after the last one made, it stays.
    """

    photograph: str
    value: int
    clicks: str
    box: float
    grabcut: float
    ious: tuple[float, ...]

    def needed(self, wanted: float) -> int:
        """Return the number of clicks until the IoU is reached, ``MOST`` if it never is."""
        reached = np.flatnonzero(np.array(self.ious) >= wanted)
        return int(reached[0]) + 1 if len(reached) else MOST

    def row(self) -> dict[str, str | int | float]:
        """Return the row of the CSV file."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "ious"}
        counts = {"noc85": self.needed(0.85), "noc90": self.needed(0.9)}
        courses = {f"iou{n}": round(value, 4) for n, value in enumerate(self.ious, 1)}
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()}
        return rounded | counts | courses


class Labeler:
    """Simulated labeler who shows objects of one photograph to the backend.

    Args:
        model: Model of the backend.
        photo: Photograph (H, W, 3) uint8 RGB.
        name: Name of the photograph.
    """

    def __init__(self, model: PromptableModel, photo: Picture, name: str) -> None:
        self._refiner = MaskRefiner(model)
        self._key = EmbeddingKey(name, model.version)
        self._embedding: Embedding = model.embed(photo)

    def answer(self, prompts: Prompts) -> Bools:
        """Return the (H, W) mask that the backend answers with."""
        deadline = Deadline.after(SECONDS)
        return self._refiner.segment(self._key, self._embedding, prompts, deadline).pixels

    def click(
        self, truth: Bools, ignored: Bools, hand: np.random.Generator | None, wanted: float
    ) -> list[float]:
        """Click until an IoU is reached (``LEAST`` to ``MOST`` times); return the IoU after each.

        Args:
            truth: Mask (H, W) bool of the object.
            ignored: Pixels (H, W) bool that do not count.
            hand: Random generator that jitters the clicks; None for a steady hand.
            wanted: IoU at which the labeler stops.
        """
        points: tuple[Point, ...] = ()
        answer = np.zeros_like(truth)
        course: list[float] = []
        while len(course) < MOST and (len(course) < LEAST or max(course) < wanted):
            point = next_click(truth, answer)
            if point is None:
                break
            if hand is not None:
                wrong = truth & ~answer if point.positive else answer & ~truth
                point = jittered(hand, point, wrong)
            points = (*points, point)
            answer = self.answer(Prompts(points=points)) & ~ignored
            course.append(iou(truth, answer))
        return course


def jittered(hand: np.random.Generator, point: Point, region: Bools) -> Point:
    """Move a click by a normal tenth of the region's size (root of its area), staying inside."""
    spread = 0.1 * np.sqrt(region.sum())
    height, width = region.shape
    for _ in range(20):
        x, y = point.x + hand.normal(0, spread), point.y + hand.normal(0, spread)
        if 0 <= x < width and 0 <= y < height and region[int(y), int(x)]:
            return Point(float(x), float(y), point.positive)
    return point


def measure(
    model: PromptableModel, photo: Picture, mask: Picture, name: str, rivals: bool, wanted: float
) -> Iterator[Course]:
    """Show every object of a photograph by a box, by centre clicks and by jittered clicks."""
    ignored = mask == IGNORED
    for value in (int(v) for v in np.unique(mask) if v not in (0, IGNORED)):
        truth = mask == value
        box = bounds(truth)
        assert box is not None  # noqa: S101 - the value appears in the mask
        labeler = Labeler(model, photo, name)
        boxed = iou(truth, labeler.answer(Prompts(box)) & ~ignored)
        rival = iou(truth, grab_cut(photo, box) & ~ignored) if rivals else float("nan")
        hand = np.random.default_rng([value, *name.encode()])
        for clicks, used in (("centre", None), ("jittered", hand)):
            course = labeler.click(truth, ignored, used, wanted)
            filled = (*course, *[course[-1]] * (MOST - len(course)))
            yield Course(name, value, clicks, boxed, rival, filled)


def summary(courses: Sequence[Course]) -> Table:
    """Return the table of all figures, each with its 95 % interval over photographs."""
    table = Table(title="Clicks")
    for column in ("figure", "centre clicks", "jittered clicks (10 %)"):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for name, figure in FIGURES.items():
        cells = []
        for clicks in ("centre", "jittered"):
            chosen = [each for each in courses if each.clicks == clicks]
            values = [figure(each) for each in chosen]
            low, high = mean_interval(values, [each.photograph for each in chosen])
            cells.append(f"{np.mean(values):.3f} ({low:.3f} to {high:.3f})")
        table.add_row(name, *cells)
    table.add_row("objects", *[str(len(courses) // 2)] * 2)
    return table


FIGURES: dict[str, Callable[[Course], float]] = {
    "NoC@85": lambda course: float(course.needed(0.85)),
    "NoC@90": lambda course: float(course.needed(0.9)),
    "IoU, 1 click": lambda course: course.ious[0],
    "IoU, 3 clicks": lambda course: course.ious[2],
    "IoU, 5 clicks": lambda course: course.ious[4],
    "below 90 % at 20 clicks": lambda course: float(course.ious[-1] < 0.9),
    "IoU, box": lambda course: course.box,
    "IoU, OpenCV GrabCut in the box": lambda course: course.grabcut,
}


def neighbors() -> Table:
    """Return published figures of other networks, on other photographs."""
    table = Table(
        title="Published NoC@90",
        caption="Other photographs, larger networks, other training data; SAM's clicks do not "
        "build on a cropped view. Comparable only on the same set.",
    )
    for column in ("network", "GrabCut", "Berkeley", "DAVIS"):
        table.add_column(column)
    for row in PUBLISHED:
        table.add_row(*row)
    return table


def contact_sheet(model: PromptableModel, folder: Path, courses: Sequence[Course]) -> Picture:
    """Return rows of photograph, truth, answer to a box, answer to three clicks.

    The best, the median and the worst objects by clicks to 90 % IoU, then by the box.
    """
    centred = [each for each in courses if each.clicks == "centre"]
    ranked = sorted(centred, key=lambda each: (each.needed(0.9), -each.ious[4], -each.box))
    middle = max(0, len(ranked) // 2 - SHOWN // 2)
    groups = (ranked[:SHOWN], ranked[middle : middle + SHOWN], ranked[-SHOWN:])
    blank = np.full((160, 4 * 160, 3), 255, np.uint8)
    columns = [
        np.vstack([*(_row(model, folder, each) for each in group), *[blank] * (SHOWN - len(group))])
        for group in groups
    ]
    return np.hstack(columns)


def _row(model: PromptableModel, folder: Path, course: Course) -> Picture:
    photo, mask = read_photo(photo_of(folder, course.photograph)), mask_of(folder, course)
    labeler = Labeler(model, photo, course.photograph)
    points: tuple[Point, ...] = ()
    boxed, answer = labeler.answer(Prompts(bounds(mask))), np.zeros_like(mask)
    for _ in range(3):
        point = next_click(mask, answer)
        if point is not None:
            points = (*points, point)
            answer = labeler.answer(Prompts(points=points))
    views = (photo, *(_tinted(photo, each) for each in (mask, boxed, answer)))
    return np.hstack([cv2.resize(v, (160, 160), interpolation=cv2.INTER_AREA) for v in views])


def _tinted(photo: Picture, mask: Bools) -> Picture:
    tinted = photo // 3
    tinted[mask] = photo[mask]
    return tinted


def photo_of(folder: Path, name: str) -> Path:
    """Return the path of a photograph by its name without suffix.

    Raises:
        DataError: The photograph does not exist.
    """
    for suffix in (".jpg", ".jpeg", ".png", ".bmp"):
        path = folder / "photos" / f"{name}{suffix}"
        if path.is_file():
            return path
    raise DataError(f"{folder}/photos has no photograph {name}", LAYOUT)


def mask_of(folder: Path, course: Course) -> Bools:
    """Return the (H, W) truth of a course."""
    return np.asarray(read_mask(folder / "masks" / f"{course.photograph}.png") == course.value)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help=LAYOUT)
    parser.add_argument("--out", type=Path, default=Path("runs/clicks"), help="where to save")
    parser.add_argument("--weights", type=Path, help="weights; the shipped ones if not given")
    parser.add_argument("--every", type=int, default=1, help="measure every n-th photograph")
    parser.add_argument("--no-grabcut", action="store_true", help="leave out the slow comparison")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    masks = sorted((arguments.data / "masks").glob("*.png"))[:: arguments.every]
    if not masks:
        raise DataError(f"{arguments.data} has no masks", LAYOUT)
    model = EmbeddedPromptableModel.load(arguments.weights)
    courses: list[Course] = []
    for path in tqdm(masks, "clicking", mininterval=10):
        photo = read_photo(photo_of(arguments.data, path.stem))
        rivals = not arguments.no_grabcut
        courses += measure(model, photo, read_mask(path), path.stem, rivals, wanted=0.9)
    if not courses:
        raise DataError(f"the masks of {arguments.data} hold no object", LAYOUT)
    save(arguments.out, model, arguments.data, courses)


def save(out: Path, model: PromptableModel, folder: Path, courses: Sequence[Course]) -> None:
    """Print the tables; write them, the CSV file and the contact sheet into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    console = Console(record=True)
    console.print(summary(courses))
    console.print(neighbors())
    console.save_text(str(out / "tables.txt"))
    rows = [course.row() for course in courses]
    with (out / "clicks.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    cv2.imwrite(str(out / "clicks.png"), contact_sheet(model, folder, courses)[..., ::-1])
    Console().print(f"Saved in {out}")


if __name__ == "__main__":
    run_program(main)
