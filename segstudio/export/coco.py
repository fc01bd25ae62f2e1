"""One COCO file: every region of every annotator, overlapping or not.

The format: https://cocodataset.org/#format-data. In addition, images list who annotated and who
skipped them and have the manifest's cells, and annotations name their annotator.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from segstudio.data.atomic_files import atomic_write
from segstudio.data.scratch_db import ScratchDatabase
from segstudio.export.json_lists import Spool, write_list
from segstudio.export.mask_regions import MaskRegion
from segstudio.export.outlines import part_polygons
from segstudio.export.pictures import PictureFile
from segstudio.export.rows import Entry
from segstudio.export.samples import Output, Sample, Write


@contextmanager
def write_coco(output: Output) -> Iterator[Write]:
    """Write a COCO file; parts that belong at its end are kept on disk until then."""
    with (
        atomic_write(output.path) as part,
        Spool() as annotations,
        _Annotators() as annotators,
    ):
        writer = _Coco(output, annotators, annotations)
        yield writer.write
        with part.open("w", encoding="utf-8") as file:
            writer.finish(file)


class _Annotators(ScratchDatabase):
    """Annotators of each image."""

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
    def __init__(self, output: Output, annotators: _Annotators, annotations: Spool) -> None:
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
                polygons = self._output.polygons
                self._annotations.add(_annotation(sample.entry, mask, polygons) | ids)

    def finish(self, file: IO[str]) -> None:
        """Write all parts, with one item in memory at a time."""
        file.write('{"info": {"description": "exported by segstudio"}, "licenses": [],\n')
        write_list(file, "categories", self._output.palette.categories())
        write_list(file, "images", map(json.dumps, map(self._image, self._output.pictures)))
        write_list(file, "annotations", self._annotations)
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


def _annotation(entry: Entry, mask: MaskRegion, polygons: bool) -> dict[str, Any]:
    return {
        "segmentation": _segmentation(mask, polygons),
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


def _segmentation(mask: MaskRegion, polygons: bool) -> dict[str, Any] | list[list[float]]:
    """Return polygons as they were drawn, strokes as run lengths or as polygons."""
    if mask.outline is not None:
        outlines = [mask.outline]
    elif polygons:
        outlines = part_polygons(mask.rle)
    else:
        return mask.rle.coco
    return [outline.ravel().round(3).tolist() for outline in outlines]
