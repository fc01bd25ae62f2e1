"""One COCO file: every region of every annotator, overlapping or not.

The format: https://cocodataset.org/#format-data. Beside it, images tell who annotated and who
skipped them and carry the manifest's cells, and annotations tell whose they are.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from segstudio.data.atomic_files import atomic_write
from segstudio.data.scratch_db import ScratchDatabase
from segstudio.export.mask_regions import Draw, Drawing, MaskRegion
from segstudio.export.palette import Palette
from segstudio.export.rows import Columns, Entry, Problem
from segstudio.export.tables import Add, Added

_IMAGES = """
    SELECT id, identifier, reference, height, width, metadata,
        (SELECT json_group_array(annotator) FROM annotations WHERE image = id AND NOT skipped),
        (SELECT json_group_array(annotator) FROM annotations WHERE image = id AND skipped)
    FROM images ORDER BY id
"""


@contextmanager
def write_coco(path: Path, _: Columns, palette: Palette, draw: Draw) -> Iterator[Add]:
    """Write a COCO file; what must wait for its end waits on disk."""
    with (
        atomic_write(path) as part,
        tempfile.TemporaryFile("w+", encoding="utf-8") as annotations,
        _Images() as images,
    ):
        writer = _Coco(images, annotations, palette, draw)
        yield writer.add
        with part.open("w", encoding="utf-8") as file:
            writer.finish(file)


class _Images(ScratchDatabase):
    """The images by identifier, and who said something about them."""

    schema = """
        CREATE TABLE images (
            id INTEGER PRIMARY KEY, identifier TEXT UNIQUE NOT NULL, reference TEXT NOT NULL,
            height INTEGER, width INTEGER, metadata TEXT NOT NULL
        );
        CREATE TABLE annotations (image INTEGER NOT NULL, annotator TEXT NOT NULL, skipped INTEGER);
    """

    def record(self, entry: Entry, drawing: Drawing) -> tuple[int, tuple[int, int] | None]:
        """Record an annotation; returns its image's id, and height and width if known."""
        height, width = drawing.size or (None, None)
        id_, height, width = self._database.execute(
            "INSERT INTO images (identifier, reference, height, width, metadata) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT (identifier) DO UPDATE SET "
            "height = coalesce(height, excluded.height), width = coalesce(width, excluded.width) "
            "RETURNING id, height, width",
            (
                entry.identifier,
                entry.task.image,
                height,
                width,
                json.dumps(entry.metadata or {}),
            ),
        ).fetchone()
        self._database.execute(
            "INSERT INTO annotations VALUES (?, ?, ?)",
            (id_, entry.annotation.annotator, entry.annotation.skipped),
        )
        return id_, None if height is None else (height, width)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """As in the file."""
        self._database.execute("CREATE INDEX by_image ON annotations (image)")
        for row in self._database.execute(_IMAGES):
            yield {
                "id": row[0],
                "file_name": row[1],
                "coco_url": row[2],
                "height": row[3],
                "width": row[4],
                "metadata": json.loads(row[5]),
                "annotated_by": json.loads(row[6]),
                "skipped_by": json.loads(row[7]),
            }


class _Coco:
    def __init__(self, images: _Images, annotations: IO[str], palette: Palette, draw: Draw) -> None:
        self._images = images
        self._annotations = annotations
        self._palette = palette
        self._draw = draw
        self._count = 0

    def add(self, entry: Entry) -> Added:
        drawing = self._draw(entry.task, entry.annotation)
        problems = [Problem(entry, reason, region) for region, reason in drawing.problems]
        image, size = self._images.record(entry, drawing)
        if drawing.size != size and drawing.masks:
            reason = "its image has other sizes in other annotations"
            problems += [Problem(entry, reason, mask.region.id) for mask in drawing.masks]
            return Added(0, drawing.left_out, problems)
        for mask in drawing.masks:
            for label in mask.region.names:
                self._write(_annotation(entry, mask) | self._ids(image, label))
        return Added(len(drawing.masks), drawing.left_out, problems)

    def finish(self, file: IO[str]) -> None:
        """Write all parts, one item in memory at a time."""
        file.write('{"info": {"description": "exported by segstudio"}, "licenses": [],\n')
        _write_list(file, "categories", map(json.dumps, self._categories()))
        _write_list(file, "images", map(json.dumps, self._images))
        self._annotations.seek(0)
        _write_list(file, "annotations", (line.rstrip("\n") for line in self._annotations))
        file.write('"segstudio": {"format": 1}}\n')

    def _ids(self, image: int, label: str) -> dict[str, int]:
        self._count += 1
        return {"id": self._count, "image_id": image, "category_id": self._palette[label]}

    def _write(self, annotation: dict[str, Any]) -> None:
        self._annotations.write(json.dumps(annotation) + "\n")

    def _categories(self) -> Iterator[dict[str, Any]]:
        for index, label, color in self._palette.rows():
            if int(index):
                yield {"id": int(index), "name": label, "supercategory": "", "color": color}


def _annotation(entry: Entry, mask: MaskRegion) -> dict[str, Any]:
    outline = mask.outline
    return {
        "segmentation": mask.rle.coco if outline is None else [outline.ravel().round(3).tolist()],
        "area": mask.rle.area,
        "bbox": list(mask.rle.bbox),
        "iscrowd": 0,
        "annotator": entry.annotation.annotator,
        "project": entry.task.project.id,
        "task": entry.task.id,
        "annotation": entry.annotation.id,
        "region": mask.region.id,
        "attributes": dict(mask.region.attributes),
    }


def _write_list(file: IO[str], name: str, items: Iterable[str]) -> None:
    file.write(f'"{name}": [')
    for number, item in enumerate(items):
        file.write((",\n" if number else "\n") + item)
    file.write("\n],\n")
