"""Quality of the garment network on each part of a data set, with confidence intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import numpy.typing as npt
from rich.table import Table
from tqdm import tqdm

from ml_backend.labelstudio.label_config import parse_label_config
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from segmentation_backend.regions import RegionBuilder
from segmentation_backend.settings import RegionSettings
from segstudio.local.demo_project import TEMPLATE
from training import metrics
from training.calibration import score_pairs
from training.data import Folder, Picture, read_photo
from training.intervals import bootstrap_intervals
from training.taxonomy import CLASSES

SHOWN = 4  # photographs each of the worst, the middle and the best on a contact sheet
PALETTE = np.random.default_rng(7).integers(40, 255, (len(CLASSES), 3)).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class GarmentAnswers:
    """Answers to the photographs of one part.

    Attributes:
        photographs: N photographs.
        counts: (N, C, C) int64 pixel counts of each, rows the truth.
        pairs: Score and true IoU of each region.
        seconds: Time of each photograph, for the model and the regions made from its answer.
    """

    photographs: Sequence[Path]
    counts: npt.NDArray[np.int64]
    pairs: Sequence[tuple[float, float]]
    seconds: Sequence[float]

    @property
    def total(self) -> metrics.Counts:
        """Pixel counts (C, C) of all photographs."""
        return np.asarray(self.counts.sum(0), np.int64)

    def worst_first(self) -> list[Path]:
        """Return photographs by the fraction of their clothes' pixels in the right group."""
        found = [metrics.scores(counts)["group_accuracy"] for counts in self.counts]
        return [self.photographs[number] for number in np.argsort(found, kind="stable")]


def measure_garments(
    model: EmbeddedGarmentModel, folder: Folder, photographs: Sequence[Path]
) -> GarmentAnswers:
    """Compare the answers to photographs with their masks."""
    counts, pairs, seconds = [], [], []
    config = parse_label_config(TEMPLATE.read_text())
    builder = RegionBuilder(model.version, model.classes, RegionSettings())
    for path in tqdm(photographs, "segmentation", leave=False):
        photo, labels = read_photo(path), folder.class_table[folder.mask_of(path)]
        start = perf_counter()
        builder.predict(model.segment([photo])[0], config)
        seconds.append(perf_counter() - start)
        answer = model.classify([photo])[0]
        counts.append(metrics.confusion(labels, answer.indices))
        pairs += score_pairs(labels, answer)
    return GarmentAnswers(photographs, np.stack(counts), pairs, seconds)


def _scores(total: npt.NDArray[np.float64]) -> dict[str, float]:
    return metrics.scores(total.astype(np.int64))


def garment_tables(parts: Mapping[str, GarmentAnswers]) -> list[Table]:
    """Return the tables of figures, groups and labels (the worst first) and scores."""
    summary = _table("Garment network, 95 % intervals over photographs", "figure", parts)
    figures = {name: metrics.scores(answers.total) for name, answers in parts.items()}
    ranges = {name: bootstrap_intervals(answers.counts, _scores) for name, answers in parts.items()}
    for figure in next(iter(figures.values())):
        cells = []
        for name in parts:
            low, high = ranges[name][figure]
            cells.append(f"{figures[name][figure]:.3f} ({low:.3f} to {high:.3f})")
        summary.add_row(figure, *cells)
    times = (f"{np.median(answers.seconds) * 1000:.0f}" for answers in parts.values())
    summary.add_row("milliseconds a photograph (median)", *times)
    summary.add_row("photographs", *(str(len(answers.photographs)) for answers in parts.values()))
    totals = {name: answers.total for name, answers in parts.items()}
    groups = {name: metrics.group_ious(total) for name, total in totals.items()}
    labels = {name: metrics.label_ious(total) for name, total in totals.items()}
    tables = [summary, _ious("group", groups), _ious("label", labels)]
    return [*tables, *(_reliability(name, answers.pairs) for name, answers in parts.items())]


def _ious(kind: str, parts: Mapping[str, Mapping[str, float]]) -> Table:
    table = _table(f"IoU by {kind}, worst first", kind, parts)
    last = list(parts.values())[-1]
    names = {name for ious in parts.values() for name in ious}
    for name in sorted(names, key=lambda name: (last.get(name, 1.0), name)):
        cells = (f"{ious[name]:.3f}" if name in ious else "" for ious in parts.values())
        table.add_row(name, *cells)
    return table


def _reliability(part: str, pairs: Sequence[tuple[float, float]]) -> Table:
    """Return score and IoU of regions with similar scores: equal if scores are calibrated."""
    table = _table(f"Regions by score, {part}", "score", ("regions", "mean score", "mean IoU"))
    for low in np.arange(0, 1, 0.2):
        chosen = [pair for pair in pairs if low <= pair[0] < low + 0.2]
        if chosen:
            score, found = np.mean(chosen, 0)
            name = f"{low:.1f} to {low + 0.2:.1f}"
            table.add_row(name, str(len(chosen)), f"{score:.2f}", f"{found:.2f}")
    return table


def _table(title: str, first: str, columns: Sequence[str] | Mapping[str, object]) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def garment_sheet(
    model: EmbeddedGarmentModel, folder: Folder, photographs: Sequence[Path]
) -> Picture:
    """Draw photograph, truth and answer of the worst, the middle and the best.

    Args:
        model: Garment network.
        folder: Data set of the photographs.
        photographs: Worst first.

    Returns:
        (H, W, 3) uint8 RGB, two photographs a row.
    """
    middle = max(0, len(photographs) // 2 - SHOWN // 2)
    chosen = (photographs[:SHOWN], photographs[middle : middle + SHOWN], photographs[-SHOWN:])
    rows = []
    for path in dict.fromkeys(path for part in chosen for path in part):
        photo, labels = read_photo(path), folder.class_table[folder.mask_of(path)]
        answer = model.classify([photo])[0].indices
        pictures = (photo, PALETTE[labels], PALETTE[answer])
        rows.append(
            np.hstack([cv2.resize(p, (200, 300), interpolation=cv2.INTER_AREA) for p in pictures])
        )
    pairs = [np.hstack(pair) for pair in zip(rows[::2], rows[1::2], strict=False)]
    return np.asarray(np.vstack(pairs or rows), np.uint8)
