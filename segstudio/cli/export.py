"""``segstudio export``: annotations as a table, masks or COCO."""

import time
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segstudio.cli.console import EXIT_SOME_FAILED, DryRunOption, JsonOption, Report, reporting
from segstudio.cli.selection import (
    IDENTIFIER_DEFAULT,
    BoxesOption,
    IdentifierOption,
    ManifestOption,
    ProjectsOption,
    annotation_reader,
)

if TYPE_CHECKING:
    from segstudio.export.manifest_join import Manifest
    from segstudio.export.rows import Columns, Entry
    from segstudio.export.tables import Add
    from segstudio.labelstudio.annotations import AnnotationReader, LabeledProject


class Format(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    MASKS = "masks"
    COCO = "coco"


def export(
    projects: ProjectsOption,
    kind: Annotated[Format, typer.Option("--format", help="See above.")],
    out: Annotated[Path, typer.Option(help="File to write; for masks, a folder.")],
    manifest: ManifestOption = None,
    identifier_column: IdentifierOption = IDENTIFIER_DEFAULT,
    annotator: Annotated[
        str, typer.Option(help="Only what this one annotated: an e-mail address.")
    ] = "",
    with_boxes: BoxesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export the annotations of one or more projects, counted against Label Studio's own counts.

    A row for each annotation, skipped ones too: the image's identifier and the annotator are the
    key, then a column for each control, the manifest's columns, and what Label Studio notes.

    - **csv**, **parquet**: the rows. Several choices or labels are a list (in CSV: as JSON).

    - **jsonl**: the rows, and each annotation's result just as Label Studio holds it.

    - **masks**: a folder with an indexed PNG for each image and annotator, labels.csv (what each
    index stands for) and masks.csv (the rows, with the paths). Where labels overlap, the smaller
    region wins, and masks.csv counts the pixels.

    - **coco**: one file with every region, overlapping or not: brush strokes as RLE, the rest as
    polygons; each tells its annotator.

    Points are no masks; nor are rectangles beside a brush or polygons, without --with-boxes. Both
    are counted, and in jsonl. The output takes its place at a good end only; run again, the
    command replaces it. Label Studio: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, else that of
    `make up`.
    """
    from segstudio.data.tables import CsvTable
    from segstudio.export.manifest_join import Manifest
    from segstudio.export.rows import Columns
    from segstudio.export.tables import Added

    with reporting(as_json) as report, annotation_reader() as reader:
        found = [reader.project(id_) for id_ in projects.ids]
        table = CsvTable(manifest) if manifest else None
        with Manifest(table, identifier_column) as rows:
            columns = Columns.of(found, rows.columns)
            run = _Run(report, columns, rows, table is not None, annotator)
            begun = time.monotonic()
            nowhere = nullcontext(lambda _: Added())
            with nowhere if dry_run else _writer(kind, out, columns, found, with_boxes) as add:
                run.bring(reader, found, add)
        tally = run.tally
        _tell(report, found, tally, out, time.monotonic() - begun, dry_run)
    if tally["problems"] or tally["without_row"]:
        raise typer.Exit(EXIT_SOME_FAILED)


def _writer(
    kind: Format,
    out: Path,
    columns: "Columns",
    projects: "list[LabeledProject]",
    with_boxes: bool,
) -> "AbstractContextManager[Add]":
    from functools import partial

    from segstudio.export import tables

    if kind in (Format.CSV, Format.JSONL, Format.PARQUET):
        writers = {
            Format.CSV: tables.write_csv,
            Format.JSONL: tables.write_jsonl,
            Format.PARQUET: tables.write_parquet,
        }
        return writers[kind](out, columns)
    from segstudio.export.coco import write_coco
    from segstudio.export.mask_regions import draw
    from segstudio.export.masks import write_masks
    from segstudio.export.palette import Palette

    write = write_masks if kind is Format.MASKS else write_coco
    return write(out, columns, Palette(projects), partial(draw, with_boxes=with_boxes))


@dataclass(frozen=True)
class _Run:
    """One export, counting on the way."""

    report: Report
    columns: "Columns"
    manifest: "Manifest"
    joined: bool
    annotator: str
    tally: Counter[str] = field(default_factory=Counter)

    def bring(
        self, reader: "AnnotationReader", projects: "list[LabeledProject]", add: "Add"
    ) -> None:
        """Read all tasks and write their annotations, one task at a time."""
        from segstudio.export.rows import entries

        with self.report.progress("tasks", sum(each.counts.tasks for each in projects)) as advance:
            for project in projects:
                for task in reader.tasks(project):
                    self.tally["tasks"] += 1
                    for entry in entries(task, self.columns, self.manifest):
                        if self.annotator in ("", entry.annotation.annotator):
                            self._add(entry, add)
                    advance()

    def _add(self, entry: "Entry", add: "Add") -> None:
        from segstudio.export.rows import Problem, unknown_answers
        from segstudio.labelstudio.results import faults

        added = add(entry)
        problems = list(added.problems)
        problems += [Problem(entry, why, id_) for id_, why in faults(entry.annotation.result)]
        if names := unknown_answers(entry, self.columns):
            problems.append(Problem(entry, f"{', '.join(names)} is not in the label config"))
        for problem in problems:
            self.report.error(problem.text, problem.record)
        self.tally["skipped" if entry.annotation.skipped else "annotations"] += 1
        self.tally["regions"] += added.regions
        self.tally["left_out"] += added.left_out
        self.tally["problems"] += len(problems)
        self.tally["without_row"] += self.joined and entry.metadata is None


def _tell(
    report: Report,
    projects: "list[LabeledProject]",
    tally: Counter[str],
    out: Path,
    seconds: float,
    dry_run: bool,
) -> None:
    names = ("tasks", "annotations", "skipped")
    speed = round(tally["tasks"] / max(seconds, 1e-3), 1)
    count = {name: tally[name] for name in (*names, "regions", "left_out", "problems")}
    report.print(
        f"{count['annotations']} annotations and {count['skipped']} skipped of {count['tasks']} "
        f"tasks{' would be' if dry_run else ''} in {out} ({speed} tasks/s)"
    )
    if count["regions"] or count["left_out"]:
        report.print(
            f"{count['regions']} regions; {count['left_out']} points, boxes or empty strokes "
            "left out (jsonl has them)"
        )
    if tally["without_row"]:
        report.error(
            f"{tally['without_row']} annotations are of images that the manifest does not have",
            {"failed": "not in the manifest", "annotations": tally["without_row"]},
        )
    report.result(
        {
            **count,
            "without_row": tally["without_row"],
            "projects": [each.id for each in projects],
            "out": str(out),
            "seconds": round(seconds, 3),
            "items_per_second": speed,
            "dry_run": dry_run,
        }
    )
