"""Folders of samples: a unique name and a part for each annotation of an image.

Shared by all formats with one annotation per image: an image has as many samples as annotators.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path, PurePosixPath

from segstudio.data.atomic_files import atomic_folder
from segstudio.data.scratch_db import NameIndex
from segstudio.export.references import file_name, path_part
from segstudio.export.samples import Output, Sample

INDEX = "samples.csv"
"""File in the folder: a row for each sample, with its name and its image."""

_COLUMNS = (
    *("part", "sample", "identifier", "annotator", "image", "width", "height"),
    *("project", "task", "annotation"),
)
_RESERVED = frozenset({"images", "labels"})
"""Folder names by which Ultralytics finds labels, so no folder below may have them."""


@dataclass(frozen=True)
class Placed:
    """Place of a sample in the folder.

    Attributes:
        part: ``train``, ``val`` or ``test``.
        name: Unique path without a suffix.
        suffix: Suffix of the image's file.
    """

    part: str
    name: str
    suffix: str

    @property
    def image(self) -> str:
        """Path of the image below a folder of images."""
        return f"{self.name}{self.suffix}"


@dataclass(frozen=True)
class SampleFolder:
    """Folder that is being filled.

    Attributes:
        path: Path of the folder.
        output: Input of the writer.
        tally: Number of samples in each part.
    """

    path: Path
    output: Output
    _names: NameIndex
    _rows: "csv.DictWriter[str]"
    tally: Counter[str] = field(default_factory=Counter)

    def place(self, sample: Sample, suffix: str = "") -> Placed:
        """Assign a name and a part to a sample, and add its row to the index.

        Args:
            sample: Sample to place.
            suffix: Suffix of the image's file, if the format prescribes one.
        """
        picture, entry = sample.picture, sample.entry
        part = self.output.splits[entry.identifier]
        ending = suffix or PurePosixPath(picture.file_name).suffix
        placed = Placed(part, sample_name(sample, self._names), ending)
        self.tally[part] += 1
        height, width = picture.size or ("", "")
        row = {
            "part": part,
            "sample": placed.name,
            "identifier": picture.identifier,
            "annotator": entry.annotation.annotator,
            "image": picture.address,
            "width": width,
            "height": height,
            "project": entry.task.project.id,
            "task": entry.task.id,
            "annotation": entry.annotation.id,
        }
        self._rows.writerow(row)
        return placed

    def add_image(self, sample: Sample, path: str) -> None:
        """Put the image file of a sample into the folder, if it was fetched."""
        if self.output.images:
            self.output.images.place(sample.picture, self.path / path)

    def file(self, path: str) -> Path:
        """Return a path in the folder, whose parent folder is created."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


@contextmanager
def open_sample_folder(output: Output) -> Iterator[SampleFolder]:
    """Yield a folder to fill, which replaces an earlier one on success."""
    with (
        atomic_folder(output.path, INDEX) as folder,
        NameIndex() as names,
        (folder / INDEX).open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.DictWriter(file, _COLUMNS)
        rows.writeheader()
        yield SampleFolder(folder, output, names, rows)


def sample_name(sample: Sample, names: NameIndex) -> str:
    """Return ``ANNOTATOR/IDENTIFIER``, plus the annotation ID if the name is taken."""
    entry, id_ = sample.entry, sample.entry.annotation.id
    annotator = path_part(entry.annotation.annotator.replace("/", "_")) or "annotator"
    image = PurePosixPath(file_name(entry.identifier, sample.picture.reference, sample.addition))
    parts = (f"{part}_" if part in _RESERVED else part for part in image.with_suffix("").parts)
    name = "/".join([annotator, *parts])
    for behind in chain(("", f".{id_}"), (f".{id_}.{n}" for n in count(2))):
        found = f"{name}{behind}"
        if names.claim(found.casefold(), id_) == id_:
            break
    return found
