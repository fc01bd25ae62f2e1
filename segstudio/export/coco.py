"""One COCO file: every region of every annotator, overlapping or not.

The format: https://cocodataset.org/#format-data. Beside it, images tell who annotated and who
skipped them and carry the manifest's cells, and annotations tell whose they are.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from segstudio.data.atomic_files import atomic_write
from segstudio.data.scratch_db import ScratchDatabase
from segstudio.export.mask_regions import MaskRegion
from segstudio.export.pictures import PictureFile
from segstudio.export.rows import Entry
from segstudio.export.samples import Output, Sample, Write


@contextmanager
def write_coco(output: Output) -> Iterator[Write]:
    """Write a COCO file; what must wait for its end waits on disk."""
    with (
        atomic_write(output.path) as part,
        tempfile.TemporaryFile("w+", encoding="utf-8") as annotations,
        _Annotators() as annotators,
    ):
        writer = _Coco(output, annotators, annotations)
        yield writer.write
        with part.open("w", encoding="utf-8") as file:
            writer.finish(file)


class _Annotators(ScratchDatabase):
    """Who said something about each image."""

    schema = """
        CREATE TABLE annotations (image INTEGER NOT NULL, annotator TEXT NOT NULL, skipped INTEGER);
        CREATE INDEX by_image ON annotations (image);
    """

    def record(self, sample: Sample) -> None:
        annotation = sample.entry.annotation
        self._database.execute(
            "INSERT INTO annotations VALUES (?, ?, ?)",
            (sample.picture.id, annotation.annotator, annotation.skipped),
        )

    def of(self, picture: PictureFile, *, skipped: bool) -> list[str]:
        found = self._database.execute(
            "SELECT annotator FROM annotations WHERE image = ? AND skipped = ? ORDER BY rowid",
            (picture.id, skipped),
        )
        return [annotator for (annotator,) in found]


class _Coco:
    def __init__(self, output: Output, annotators: _Annotators, annotations: IO[str]) -> None:
        self._output = output
        self._annotators = annotators
        self._annotations = annotations
        self._count = 0

    def write(self, sample: Sample) -> None:
        self._annotators.record(sample)
        for mask in sample.masks:
            for label in mask.region.names:
                self._count += 1
                ids = {
                    "id": self._count,
                    "image_id": sample.picture.id,
                    "category_id": self._output.palette[label],
                }
                annotation = json.dumps(_annotation(sample.entry, mask) | ids)
                self._annotations.write(annotation + "\n")

    def finish(self, file: IO[str]) -> None:
        """Write all parts, one item in memory at a time."""
        file.write('{"info": {"description": "exported by segstudio"}, "licenses": [],\n')
        _write_list(file, "categories", map(json.dumps, self._categories()))
        _write_list(file, "images", map(json.dumps, map(self._image, self._output.pictures)))
        self._annotations.seek(0)
        _write_list(file, "annotations", (line.rstrip("\n") for line in self._annotations))
        file.write('"segstudio": {"format": 1}}\n')

    def _image(self, picture: PictureFile) -> dict[str, Any]:
        height, width = picture.size or (None, None)
        return {
            "id": picture.id,
            "file_name": picture.file_name,
            "coco_url": picture.address,
            "height": height,
            "width": width,
            "metadata": picture.metadata,
            "annotated_by": self._annotators.of(picture, skipped=False),
            "skipped_by": self._annotators.of(picture, skipped=True),
        }

    def _categories(self) -> Iterator[dict[str, Any]]:
        for index, label, color in self._output.palette.rows():
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
