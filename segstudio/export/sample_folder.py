"""Folders of samples: one name for each annotation of an image, in a part of the data set.

All formats that hold one annotation for each image have this in common; the same image has as many
samples as annotators.
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
"""In the folder: a row for each sample, with its name and its image."""

_COLUMNS = (
    *("part", "sample", "identifier", "annotator", "image", "width", "height"),
    *("project", "task", "annotation"),
)
_RESERVED = frozenset({"images", "labels"})
"""Names of folders that Ultralytics finds labels by: no folder below may be called so."""


@dataclass(frozen=True)
class Placed:
    """A sample's place.

    Attributes:
        part: ``train``, ``val`` or ``test``.
        name: Path without a suffix, different for each sample.
        suffix: Of its image's file.
    """

    part: str
    name: str
    suffix: str

    @property
    def image(self) -> str:
        """Path of its image below a folder of images."""
        return f"{self.name}{self.suffix}"


@dataclass(frozen=True)
class SampleFolder:
    """A folder that is being filled.

    Attributes:
        path: Of the folder.
        output: What is written.
        tally: Number of samples in each part.
    """

    path: Path
    output: Output
    _names: NameIndex
    _rows: "csv.DictWriter[str]"
    tally: Counter[str] = field(default_factory=Counter)

    def place(self, sample: Sample, suffix: str = "") -> Placed:
        """Give a sample its name and part, and a row in the index.

        Args:
            sample: Sample.
            suffix: Suffix of its image's file where a format has a rule for it.
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
        """Put the file of a sample's image into the folder, if there is one."""
        if self.output.images:
            self.output.images.place(sample.picture, self.path / path)

    def file(self, path: str) -> Path:
        """Return a path in the folder; the folder that it is in is there."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


@contextmanager
def open_sample_folder(output: Output) -> Iterator[SampleFolder]:
    """Fill a folder that replaces an earlier one on success."""
    with (
        atomic_folder(output.path, INDEX) as folder,
        NameIndex() as names,
        (folder / INDEX).open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.DictWriter(file, _COLUMNS)
        rows.writeheader()
        yield SampleFolder(folder, output, names, rows)


def sample_name(sample: Sample, names: NameIndex) -> str:
    """Return ``ANNOTATOR/IDENTIFIER``, with the annotation's number where another one has it."""
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
