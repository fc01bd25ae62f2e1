"""``python -m benchmarks.learning``: how fast a project's labels are learned, and how well.

Draws annotated photographs from a data set, learns from them as the backend does (one in five is
held out for the verdict from 25 images on) and measures the model that would serve then on
photographs that were not drawn. Nothing is chosen on these during a run.
"""

import csv
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import mean
from typing import Annotated, Final

import matplotlib as mpl
import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.learning_data import DataSet, clothing, everyday
from benchmarks.report import progress_bar
from segmentation_backend.classes import EMBEDDED_CLASSES
from segmentation_backend.learning.evaluation import Contender, Measured, View, owners
from segmentation_backend.learning.example import Example, LearningSet
from segmentation_backend.learning.feature_cache import FeatureCache
from segmentation_backend.learning.learned_model import shared_extractor
from segmentation_backend.learning.quick import learn_quick
from segmentation_backend.models.base import SegmentationModel
from segmentation_backend.models.embedded import EmbeddedGarmentModel

mpl.use("Agg")
from matplotlib import pyplot as plt

TABLE: Final = Path(__file__).parent / "results" / "learning.csv"
COUNTS: Final = (20, 50, 100)
SEEDS: Final = (101, 102, 103)
MEASURES: Final = ("iou", "right", "seconds", "cpu")


@dataclass(frozen=True)
class Row:
    """The model that serves after a draw.

    Attributes:
        data: Name of the data set.
        images: Annotated images that were drawn.
        seed: Seed of the draw; 0 where nothing was drawn.
        iou: Mean IoU over the labels.
        right: Fraction of the objects' pixels that get the right label.
        seconds: Wall-clock time of learning, with nothing cached.
        cpu: Processor time of learning.
        promoted: Whether the learned model serves; otherwise it is the shipped one.
    """

    data: str
    images: int
    seed: int
    iou: float
    right: float
    seconds: float
    cpu: float
    promoted: bool


class Silent:
    """Progress receiver that ignores all steps."""

    def step(self, text: str, done: int, total: int) -> None:
        """Ignore the step."""

    def drop(self, identity: str, reason: str) -> None:
        """Raise an error: the data sets are complete."""
        raise ValueError(f"{identity}: {reason}")


def main(
    msrc: Annotated[Path | None, typer.Option(help="Folder of the everyday photographs")] = None,
    ccp: Annotated[Path | None, typer.Option(help="Folder of Clothing Co-Parsing")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of the draws")] = ",".join(map(str, SEEDS)),
    counts: Annotated[str, typer.Option(help="Images drawn")] = ",".join(map(str, COUNTS)),
    plot: Annotated[Path | None, typer.Option(help="Picture of the curve to write")] = None,
) -> None:
    """Measure learning on draws of annotated photographs.

    The table keeps the rows of data sets that this run does not measure.
    """
    torch.set_num_threads(2)
    sets = [make(path) for make, path in ((everyday, msrc), (clothing, ccp)) if path]
    console = Console(width=120)
    rows = [row for row in read(TABLE) if row.data not in {data.name for data in sets}]
    draws = _numbers(counts), _numbers(seeds)
    measured = chain.from_iterable(measure(data, *draws) for data in sets)
    total = len(sets) * (1 + len(draws[0]) * len(draws[1]))
    with progress_bar(console) as progress:
        for row in progress.track(measured, total, description="models"):
            rows.append(row)
            write(TABLE, rows)
            console.print(f"{row.data}: {row.images} images, seed {row.seed}, IoU {row.iou:.3f}")
    console.print(_table(rows))
    if plot:
        draw(plot, rows)


def measure(data: DataSet, counts: Sequence[int], seeds: Sequence[int]) -> Iterator[Row]:
    """Yield the shipped model's row, then one for each draw."""
    base = EmbeddedGarmentModel.load()
    with tempfile.TemporaryDirectory(prefix="segstudio-bench-") as folder:
        judge = Judge(data, Path(folder) / "measured")
        yield judge.row(base, data.unseen(()), 0, 0, (0.0, 0.0), promoted=True)
        for count in counts:
            for seed in seeds:
                drawn = data.draw(count, seed)
                place = Path(folder) / f"{count}-{seed}"
                started, cpu = time.perf_counter(), time.process_time()
                learned = learn_quick(LearningSet(data.labels, drawn), base, place, Silent())
                taken = (time.perf_counter() - started, time.process_time() - cpu)
                rest = data.unseen(drawn)
                serving = learned.model if learned.promoted else base
                yield judge.row(serving, rest, count, seed, taken, learned.promoted)


def read(path: Path) -> list[Row]:
    """Return the rows of earlier runs."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [
            Row(
                row["data"],
                int(row["images"]),
                int(row["seed"]),
                promoted=row["promoted"] == "True",
                **{name: float(row[name]) for name in MEASURES},
            )
            for row in csv.DictReader(file)
        ]


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows; after each one, since a run takes a while."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(map(asdict, rows))


class Judge:
    """Measures models on photographs of a data set; features are made once."""

    def __init__(self, data: DataSet, folder: Path) -> None:
        self._data = LearningSet(data.labels, [])
        self._name = data.name
        garments = bool(owners(EMBEDDED_CLASSES, self._data))
        self._extractor = shared_extractor("cpu", garments=garments)
        self._cache = FeatureCache(folder, self._extractor.version)

    def row(
        self,
        model: SegmentationModel,
        examples: Sequence[Example],
        images: int,
        seed: int,
        taken: tuple[float, float],
        promoted: bool,
    ) -> Row:
        """Measure a model on ``examples``."""
        contender = Contender.of(model, self._data)
        measured = Measured(len(self._data.labels))
        for example in examples:
            image, mask = example.load()
            extract = partial(self._extractor.extract, image)
            features = self._cache.get(example.identity, extract)
            measured.add(contender, View(image, mask, features, self._extractor.version))
        found = (measured.mean, measured.right)
        return Row(self._name, images, seed, *found, *taken, promoted)


def means(rows: Sequence[Row]) -> list[Row]:
    """Return the mean row of each data set and number of images."""
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.data, row.images), []).append(row)
    return [_mean(group) for group in groups.values()]


def _mean(rows: Sequence[Row]) -> Row:
    iou, right, seconds, cpu = (mean(getattr(row, name) for row in rows) for name in MEASURES)
    promoted = all(row.promoted for row in rows)
    return Row(rows[0].data, rows[0].images, 0, iou, right, seconds, cpu, promoted)


def draw(path: Path, rows: Sequence[Row]) -> None:
    """Plot pixels rightly named and mean IoU against the number of annotated images."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    for axis, (field, title) in zip(
        axes,
        (("right", "object pixels rightly named"), ("iou", "mean IoU of the labels")),
        strict=True,
    ):
        for data in dict.fromkeys(row.data for row in rows):
            points = [row for row in means(rows) if row.data == data]
            values = [getattr(row, field) for row in points]
            axis.plot([row.images for row in points], values, "o-", label=data)
        axis.set(title=title, xlabel="annotated images", ylim=(0, 1))
        axis.grid(alpha=0.3)
    axes[0].legend(loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(
        "data", "images", "mean IoU", "pixels right", "seconds", "CPU seconds", "promoted"
    )
    for row in means(rows):
        numbers = f"{row.iou:.3f}", f"{row.right:.3f}", f"{row.seconds:.1f}", f"{row.cpu:.1f}"
        table.add_row(row.data, str(row.images), *numbers, "yes" if row.promoted else "not all")
    return table


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    typer.run(main)
