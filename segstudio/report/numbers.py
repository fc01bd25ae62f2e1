"""The numbers of a report as CSV: a row for each."""

import csv
from collections.abc import Iterator
from pathlib import Path

from segstudio.data.atomic_files import atomic_write
from segstudio.report.facts import Facts, Suggestions, rates
from segstudio.report.suggestions import FATES
from segstudio.report.times import median, time_saved

Row = tuple[str, str, str, float | int | None]
COLUMNS = ("about", "name", "measure", "value")


def write_numbers(path: Path, facts: Facts) -> None:
    """Write all numbers; unknown ones are empty.

    Raises:
        TableError: The file cannot be written.
    """
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows(numbers(facts))


def numbers(facts: Facts) -> Iterator[Row]:
    """Yield all numbers."""
    for id_, progress in facts.projects.items():
        for measure, value in (
            ("tasks", progress.project.counts.tasks),
            ("labeled", progress.labeled),
            ("skipped", progress.skipped),
            ("control", progress.control),
            ("annotations", progress.project.counts.annotations),
        ):
            yield "project", str(id_), measure, value
    for name, (per_hour, per_region) in rates(facts.labelers).items():
        labeler = facts.labelers[name]
        yield "annotator", name, "images", len(labeler.seconds)
        yield "annotator", name, "skipped", labeler.skipped
        yield "annotator", name, "images_per_hour", per_hour
        yield "annotator", name, "median_seconds", median(labeler.seconds)
        yield "annotator", name, "seconds_per_region", per_region
    for label, count in sorted(facts.label_regions.items()):
        yield "label", label, "seconds_per_region", facts.label_seconds[label] / count
    yield "all", "", "compared_images", facts.sampled
    yield from _suggestions("all", "", facts.total)
    for label, each in sorted(facts.labels.items()):
        yield from _suggestions("label", label, each)
    for version, each in facts.versions.items():
        yield from _suggestions("model_version", version, each)
    saved = time_saved(facts.suggested, facts.control)
    if saved:
        for measure in ("seconds", "low", "high", "without"):
            yield "time_saved", "", measure, getattr(saved, measure)


def _suggestions(about: str, name: str, found: Suggestions) -> Iterator[Row]:
    yield about, name, "suggested", found.suggested
    for fate in FATES:
        yield about, name, fate, found.fates[fate]
    yield about, name, "iou", found.mean_iou
