"""What one annotation says of one image: what all formats with masks are made of."""

import pickle  # nosec B403 - reads what this process wrote into its own temporary database
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
        entry: Annotation.
        picture: Image; its size is known, but where neither anybody drew on it nor a prediction
            nor the image itself tells it, and for skipped annotations.
        addition: What the image's name has behind that of its task, where a task has several.
        masks: In the order they were drawn; they may overlap.
        left_out: How many of its regions are no masks.
    """

    entry: Entry
    picture: PictureFile
    addition: str
    masks: tuple[MaskRegion, ...]
    left_out: int

    @property
    def skipped(self) -> bool:
        """Whether the annotator skipped the task: then nothing was said of the image."""
        return self.entry.annotation.skipped


Write = Callable[[Sample], None]
FindSize = Callable[[Entry, PictureFile], Size | None]
"""Finds the size of an image that nobody has drawn on."""


@dataclass(frozen=True)
class Output:
    """What the writers of all formats with masks are given.

    Attributes:
        path: File or folder to write.
        columns: Columns of a row.
        palette: Labels with their indices.
        pictures: Images, complete when the last sample is written.
        splits: Part of the data set that each image is in.
        images: Files of the images; None where they are not wanted.
        polygons: Whether brush strokes become polygons where a format takes both.
    """

    path: Path
    columns: Columns
    palette: Palette
    pictures: Pictures
    splits: Splits
    images: ImageFiles | None
    polygons: bool


class Sampler(ScratchDatabase):
    """Hands an export's samples to a writer, those of unknown size at the end.

    Args:
        draw: Finds the masks of an annotation.
        pictures: Gets the images.
        write: Takes each sample.
        find_size: Asked at the end about images that nobody has drawn on.
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
        """Write what waits; yields a problem for each image whose size stays unknown."""
        for (data,) in self._database.execute("SELECT sample FROM waiting ORDER BY rowid"):
            sample: Sample = pickle.loads(data)  # noqa: S301 # nosec B301 - written above
            picture = self._pictures[sample.picture.id]
            if not picture.size:
                size = self._find_size(sample.entry, picture)
                if size:
                    picture = self._pictures.resize(picture, size)
                else:
                    reason = "nobody has drawn on it, and its size is unknown"
                    yield Problem(sample.entry, reason)
            self._write(replace(sample, picture=picture))

    def _sample(self, entry: Entry, drawing: Drawing) -> tuple[Sample, list[Problem]]:
        size = drawing.size if drawing.masks or not drawing.problems else None
        picture = self._pictures.record(entry, drawing.picture, size)
        masks, problems = drawing.masks, list(drawing.problems)
        if masks and picture.size != drawing.size:
            reason = "its image has other sizes in other annotations"
            problems += [(mask.region.id, reason) for mask in masks]
            masks = ()
        sample = Sample(entry, picture, drawing.picture.name, masks, drawing.left_out)
        return sample, [Problem(entry, reason, region) for region, reason in problems]
