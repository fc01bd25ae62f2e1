"""One annotation of one image: the unit of all formats with masks."""

import pickle  # nosec B403 - reads only this process's own temporary database
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from segstudio.data.scratch_db import ScratchDatabase
from segstudio.export.image_files import ImageFiles
from segstudio.export.mask_regions import Draw, Drawing, MaskRegion, Size
from segstudio.export.palette import Palette
from segstudio.export.pictures import PictureFile, Pictures
from segstudio.export.rows import Columns, Entry, Problem
from segstudio.export.splits import Splits
from segstudio.export.tables import Added


@dataclass(frozen=True)
class Sample:
    """An annotation's masks on an image.

    Attributes:
        entry: Annotation with its row.
        picture: Image; its size may be unknown if there are neither regions nor a prediction and
            the image is unreadable, and for skipped annotations.
        addition: Suffix of the image's name if a task has several images.
        masks: Masks in drawing order; they may overlap.
        left_out: Number of regions that are not masks.
    """

    entry: Entry
    picture: PictureFile
    addition: str
    masks: tuple[MaskRegion, ...]
    left_out: int

    @property
    def skipped(self) -> bool:
        """Whether the annotator skipped the task, and so labeled nothing on the image."""
        return self.entry.annotation.skipped


Write = Callable[[Sample], None]
FindSize = Callable[[Entry, PictureFile], Size | None]
"""Returns the size of an image without regions."""


@dataclass(frozen=True)
class Output:
    """Input of the writers of all formats with masks.

    Attributes:
        path: File or folder to write.
        columns: Columns of a row.
        palette: Index and color of each label.
        pictures: Images, complete after the last sample.
        splits: Part of the data set that each image is in.
        images: Image files; None if they are not included.
        polygons: Whether brush strokes become polygons, if the format has both.
    """

    path: Path
    columns: Columns
    palette: Palette
    pictures: Pictures
    splits: Splits
    images: ImageFiles | None
    polygons: bool


class Sampler(ScratchDatabase):
    """Passes the samples of an export to a writer, those of unknown size last.

    Args:
        draw: Returns the masks of an annotation.
        pictures: Collection that records the images.
        write: Writes a sample.
        find_size: Returns the size of an image without regions; called at the end.
    """

    schema = "CREATE TABLE waiting (sample BLOB NOT NULL)"

    def __init__(self, draw: Draw, pictures: Pictures, write: Write, find_size: FindSize) -> None:
        super().__init__()
        self._draw = draw
        self._pictures = pictures
        self._write = write
        self._find_size = find_size

    def add(self, entry: Entry) -> Added:
        """Write an annotation's samples."""
        regions, left_out, problems = 0, 0, list[Problem]()
        for drawing in self._draw(entry.task, entry.annotation):
            sample, wrong = self._sample(entry, drawing)
            if sample.skipped or sample.picture.size:
                self._write(sample)
            else:
                data = pickle.dumps(sample)
                self._database.execute("INSERT INTO waiting VALUES (?)", (data,))
            regions += len(sample.masks)
            left_out += drawing.left_out
            problems += wrong
        return Added(regions, left_out, problems)

    def finish(self) -> Iterator[Problem]:
        """Write deferred samples; yield a problem for each image whose size is unknown."""
        for (data,) in self._database.execute("SELECT sample FROM waiting ORDER BY rowid"):
            sample: Sample = pickle.loads(data)  # noqa: S301 # nosec B301 - written above
            picture = self._pictures[sample.picture.id]
            if not picture.size:
                size = self._find_size(sample.entry, picture)
                if size:
                    picture = self._pictures.resize(picture, size)
                else:
                    reason = "it has no regions, and its size is unknown"
                    yield Problem(sample.entry, reason)
            self._write(replace(sample, picture=picture))

    def _sample(self, entry: Entry, drawing: Drawing) -> tuple[Sample, list[Problem]]:
        size = drawing.size if drawing.masks or not drawing.problems else None
        picture = self._pictures.record(entry, drawing.picture, size)
        masks, problems = drawing.masks, list(drawing.problems)
        if masks and picture.size != drawing.size:
            reason = "its image has a different size in other annotations"
            problems += [(mask.region.id, reason) for mask in masks]
            masks = ()
        sample = Sample(entry, picture, drawing.picture.name, masks, drawing.left_out)
        return sample, [Problem(entry, reason, region) for region, reason in problems]
