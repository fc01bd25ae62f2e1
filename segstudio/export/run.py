"""Export from end to end: read projects task by task and write them in one of the formats."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

from ml_backend.errors import SettingsError
from ml_backend.images import ImageSource
from ml_backend.labelstudio.annotations import AnnotatedTask, AnnotationReader, LabeledProject
from segstudio.data.atomic_files import PART_SUFFIX, atomic_folder
from segstudio.data.tables import CsvTable
from segstudio.export.coco import write_coco
from segstudio.export.datumaro import write_datumaro
from segstudio.export.huggingface import write_huggingface
from segstudio.export.image_files import FetchedImage, ImageFiles
from segstudio.export.image_sizes import SizeFinder
from segstudio.export.manifest_join import Manifest
from segstudio.export.mask_regions import draw
from segstudio.export.masks import write_masks
from segstudio.export.palette import Palette
from segstudio.export.panoptic import write_panoptic
from segstudio.export.pictures import Pictures
from segstudio.export.rows import Columns, Entry, Problem, entries, unknown_answers
from segstudio.export.samples import FindSize, Output, Sampler, Write
from segstudio.export.splits import SplitRule, Splits
from segstudio.export.tables import Add, Added, write_csv, write_jsonl, write_parquet
from segstudio.export.voc import write_voc
from segstudio.export.yolo import write_yolo, write_yolo_seg

IMAGES = "images.csv"
"""File in a folder of images next to a file: a row for each image, with its reference."""


class Format(StrEnum):
    """Format of an export."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    MASKS = "masks"
    COCO = "coco"
    PANOPTIC = "panoptic"
    YOLO = "yolo"
    YOLO_SEG = "yolo-seg"
    VOC = "voc"
    HF = "hf"
    DATUMARO = "datumaro"


SPLIT_FORMATS = frozenset(Format) - {
    *(Format.CSV, Format.JSONL, Format.PARQUET, Format.MASKS, Format.COCO)
}
"""Formats whose data sets are split into parts."""

POLYGON_FORMATS = frozenset({Format.COCO, Format.DATUMARO})
"""Formats that can represent masks as run lengths and as polygons."""


@dataclass(frozen=True)
class ExportSpec:
    """What to export, and in which form.

    Attributes:
        projects: Project IDs.
        kind: Format of the output.
        out: File to write, or a folder.
        manifest: CSV file whose columns are joined; None: no columns are joined.
        identifier_column: Column of the manifest that is the key.
        annotator: E-mail address of the only annotator to export; empty: all.
        with_boxes: Whether rectangles are masks even in projects with finer shapes.
        with_images: Whether to include the image files.
        polygons: Whether brush strokes become polygons, in ``POLYGON_FORMATS``.
        split: Parts of the data set, in ``SPLIT_FORMATS``.
        dry_run: Whether annotations are only counted and nothing is written.
    """

    projects: Sequence[int]
    kind: Format
    out: Path
    manifest: Path | None
    identifier_column: str
    annotator: str = ""
    with_boxes: bool = False
    with_images: bool = False
    polygons: bool = False
    split: SplitRule = field(default_factory=SplitRule)
    dry_run: bool = False


@dataclass(frozen=True)
class Writer:
    """Functions of a format: one to call with each annotation, one at the end."""

    add: Add
    finish: Callable[[], Iterator[Problem]] = lambda: iter(())


@contextmanager
def open_export(
    reader: AnnotationReader, spec: ExportSpec, open_source: Callable[[], ImageSource]
) -> Iterator["Export"]:
    """Read the projects and the manifest, and yield an export that is ready to run.

    Args:
        reader: Reader of annotations.
        spec: What to export.
        open_source: Opens the image loader, if one is needed.

    Raises:
        LabelStudioError: A project does not exist or cannot be read.
        SettingsError: The format is for images, and no project has any.
        TableError: The manifest cannot be read, or the output cannot be written (raised from the
            body).
    """
    projects = [reader.project(id_) for id_ in spec.projects]
    if spec.kind in _WITH_MASKS and not any(project.images for project in projects):
        raise SettingsError(
            f"--format {spec.kind} is for images, but there are none in project "
            f"{', '.join(map(str, spec.projects))}",
            "use csv, jsonl or parquet",
        )
    table = CsvTable(spec.manifest) if spec.manifest else None
    folder = spec.out.with_name(f".{spec.out.name}.images{PART_SUFFIX}")
    images = ImageFiles(folder, open_source) if spec.with_images and not spec.dry_run else None
    with (
        Manifest(table, spec.identifier_column) as rows,
        Pictures() as pictures,
        Splits(spec.split) as splits,
    ):
        columns, find_size = Columns.of(projects, rows.columns), SizeFinder(reader, open_source)
        yield Export(spec, reader, projects, rows, columns, find_size, pictures, splits, images)


@dataclass(frozen=True)
class Export:
    """Export that is ready to run: ``survey``, ``fetch``, then ``run``.

    Attributes:
        spec: What to export.
        reader: Reader of annotations.
        projects: Projects of ``spec``.
        manifest: Manifest whose columns are joined.
        columns: Columns of the output.
        find_size: Returns the size of an image without regions.
        pictures: Images; complete after ``survey`` if their files are needed, else after ``run``.
        splits: Part of the data set that each image is in.
        images: Image files; None if they are not included.
        tally: Counters ``tasks``, ``annotations``, ``skipped``, ``regions``, ``left_out``,
            ``problems``, ``without_row``, ``images`` and ``images_failed``.
    """

    spec: ExportSpec
    reader: AnnotationReader
    projects: Sequence[LabeledProject]
    manifest: Manifest
    columns: Columns
    find_size: FindSize
    pictures: Pictures
    splits: Splits
    images: ImageFiles | None
    tally: Counter[str] = field(default_factory=Counter)

    @property
    def tasks(self) -> int:
        """Number of tasks according to Label Studio."""
        return sum(project.counts.tasks for project in self.projects)

    @property
    def needs_survey(self) -> bool:
        """Whether all tasks must be read before the first is written."""
        in_parts = len(self.spec.split.names) > 1 and not self.spec.dry_run
        return in_parts or self.images is not None

    def survey(self) -> Iterator[None]:
        """Read all tasks for their images, and assign each image to a part."""
        for project in self.projects:
            for task in self.reader.tasks(project, results=False):
                for entry in self._chosen(task):
                    if not entry.annotation.skipped:
                        self.splits.record(entry.identifier)
                    for picture in task.pictures if self.images else ():
                        self.pictures.record(entry, picture)
                yield
        self.splits.assign()

    def fetch(self) -> Iterator[FetchedImage]:
        """Fetch the images' files."""
        for fetched in self.images.fetch(self.pictures) if self.images else ():
            self.tally["images_failed" if fetched.reason else "images"] += 1
            yield fetched

    def run(self) -> Iterator[Sequence[Problem]]:
        """Write all annotations; yield the problems of each task after it is written.

        The output appears only when all tasks are written and yielded.
        """
        with self._open_writer() as writer:
            for project in self.projects:
                for task in self.reader.tasks(project):
                    self.tally["tasks"] += 1
                    chosen = self._chosen(task)
                    yield [problem for entry in chosen for problem in self._write(entry, writer)]
            for problem in writer.finish():
                self.tally["problems"] += 1
                yield [problem]
            if self.images and self.spec.kind in (*_TABLES, Format.COCO):
                self._place_images(self.images)
        if self.images:
            self.images.remove()

    def _chosen(self, task: AnnotatedTask) -> list[Entry]:
        return [
            entry
            for entry in entries(task, self.columns, self.manifest)
            if self.spec.annotator in ("", entry.annotation.annotator)
        ]

    def _place_images(self, images: ImageFiles) -> None:
        """Put the image files into a folder next to the output file."""
        with (
            atomic_folder(self.spec.out.with_suffix(".images"), IMAGES) as folder,
            (folder / IMAGES).open("w", encoding="utf-8", newline="") as file,
        ):
            rows = csv.writer(file)
            rows.writerow(("file_name", "identifier", "image"))
            for picture in self.pictures:
                images.place(picture, folder / picture.file_name)
                rows.writerow((picture.file_name, picture.identifier, picture.address))

    @contextmanager
    def _open_writer(self) -> Iterator[Writer]:
        spec = self.spec
        if spec.dry_run:
            yield Writer(lambda _: Added())
        elif spec.kind in _TABLES:
            with _TABLES[spec.kind](spec.out, self.columns) as add:
                yield Writer(add)
        else:
            output = Output(
                path=spec.out,
                columns=self.columns,
                palette=Palette(self.projects),
                pictures=self.pictures,
                splits=self.splits,
                images=self.images,
                polygons=spec.polygons,
            )
            draw_masks = partial(draw, with_boxes=spec.with_boxes)
            with (
                _WITH_MASKS[spec.kind](output) as write,
                Sampler(draw_masks, self.pictures, write, self.find_size) as sampler,
            ):
                yield Writer(sampler.add, sampler.finish)

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
    Format.PANOPTIC: write_panoptic,
    Format.YOLO: write_yolo,
    Format.YOLO_SEG: write_yolo_seg,
    Format.VOC: write_voc,
    Format.HF: write_huggingface,
    Format.DATUMARO: write_datumaro,
}
