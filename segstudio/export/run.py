"""An export from end to end: projects are read task by task and written in one of the formats."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

from ml_backend.labelstudio.annotations import AnnotationReader, LabeledProject
from segstudio.data.tables import CsvTable
from segstudio.export.coco import write_coco
from segstudio.export.manifest_join import Manifest
from segstudio.export.mask_regions import draw
from segstudio.export.masks import write_masks
from segstudio.export.palette import Palette
from segstudio.export.pictures import Pictures
from segstudio.export.rows import Columns, Entry, Problem, entries, unknown_answers
from segstudio.export.samples import FindSize, Output, Sampler, Write
from segstudio.export.tables import Add, Added, write_csv, write_jsonl, write_parquet


class Format(StrEnum):
    """Format of an export."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    MASKS = "masks"
    COCO = "coco"


@dataclass(frozen=True)
class ExportSpec:
    """What is exported, and how it is written.

    Attributes:
        projects: Project IDs.
        kind: Format of the output.
        out: File to write; for masks, a folder.
        manifest: CSV file whose columns are joined; None: no columns are joined.
        identifier_column: Column of the manifest that is the key.
        annotator: E-mail address of the one annotator who is exported; empty: all.
        with_boxes: Whether rectangles are masks even in projects with finer shapes.
        dry_run: Whether annotations are only counted and nothing is written.
    """

    projects: Sequence[int]
    kind: Format
    out: Path
    manifest: Path | None
    identifier_column: str
    annotator: str = ""
    with_boxes: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Writer:
    """What an export calls with each annotation, and at its end."""

    add: Add
    finish: Callable[[], Iterator[Problem]] = lambda: iter(())


@contextmanager
def open_export(
    reader: AnnotationReader, spec: ExportSpec, find_size: FindSize
) -> Iterator["Export"]:
    """Read the projects and the manifest.

    Args:
        reader: Reads annotations.
        spec: What is exported.
        find_size: Asked about images that nobody has drawn on.

    Raises:
        LabelStudioError: A project does not exist or cannot be read.
        TableError: The manifest cannot be read; also from the body, when the output cannot be
            written.
    """
    projects = [reader.project(id_) for id_ in spec.projects]
    table = CsvTable(spec.manifest) if spec.manifest else None
    with Manifest(table, spec.identifier_column) as rows:
        columns = Columns.of(projects, rows.columns)
        yield Export(spec, reader, projects, rows, columns, find_size)


@dataclass(frozen=True)
class Export:
    """An export that is ready to run.

    Attributes:
        spec: What is exported.
        reader: Reads annotations.
        projects: The projects of ``spec``.
        manifest: Rows to join.
        columns: Columns of the output.
        find_size: Asked about images that nobody has drawn on.
        tally: Counts ``tasks``, ``annotations``, ``skipped``, ``regions``, ``left_out``,
            ``problems`` and ``without_row`` while the export runs.
    """

    spec: ExportSpec
    reader: AnnotationReader
    projects: Sequence[LabeledProject]
    manifest: Manifest
    columns: Columns
    find_size: FindSize
    tally: Counter[str] = field(default_factory=Counter)

    @property
    def tasks(self) -> int:
        """Number of tasks, as Label Studio counts them."""
        return sum(project.counts.tasks for project in self.projects)

    def run(self) -> Iterator[Sequence[Problem]]:
        """Write all annotations; yields the problems of each task when it is written.

        The output takes its place only when all tasks are written and yielded.
        """
        with self._open_writer() as writer:
            for project in self.projects:
                for task in self.reader.tasks(project):
                    self.tally["tasks"] += 1
                    chosen = [
                        entry
                        for entry in entries(task, self.columns, self.manifest)
                        if self.spec.annotator in ("", entry.annotation.annotator)
                    ]
                    yield [problem for entry in chosen for problem in self._write(entry, writer)]
            yield from self._finish(writer)

    @contextmanager
    def _open_writer(self) -> Iterator[Writer]:
        out, columns, kind = self.spec.out, self.columns, self.spec.kind
        if self.spec.dry_run:
            yield Writer(lambda _: Added())
        elif kind in _TABLES:
            with _TABLES[kind](out, columns) as add:
                yield Writer(add)
        else:
            draw_masks = partial(draw, with_boxes=self.spec.with_boxes)
            with Pictures() as pictures:
                output = Output(out, columns, Palette(self.projects), pictures)
                with (
                    _WITH_MASKS[kind](output) as write,
                    Sampler(draw_masks, pictures, write, self.find_size) as sampler,
                ):
                    yield Writer(sampler.add, sampler.finish)

    def _finish(self, writer: Writer) -> Iterator[Sequence[Problem]]:
        for problem in writer.finish():
            self.tally["problems"] += 1
            yield [problem]

    def _write(self, entry: Entry, writer: Writer) -> list[Problem]:
        added = writer.add(entry)
        problems = list(added.problems)
        problems += [Problem(entry, why, id_) for id_, why in entry.annotation.parsed.problems]
        if names := unknown_answers(entry, self.columns):
            problems.append(Problem(entry, f"{', '.join(names)} is not in the label config"))
        self.tally["skipped" if entry.annotation.skipped else "annotations"] += 1
        self.tally["regions"] += added.regions
        self.tally["left_out"] += added.left_out
        self.tally["problems"] += len(problems)
        self.tally["without_row"] += self.spec.manifest is not None and entry.metadata is None
        return problems


_TABLES: Mapping[Format, Callable[[Path, Columns], AbstractContextManager[Add]]] = {
    Format.CSV: write_csv,
    Format.JSONL: write_jsonl,
    Format.PARQUET: write_parquet,
}

_WITH_MASKS: Mapping[Format, Callable[[Output], AbstractContextManager[Write]]] = {
    Format.MASKS: write_masks,
    Format.COCO: write_coco,
}
