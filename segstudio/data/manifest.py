"""Manifest: table of the files in a bucket, which later joins labels to rows."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TextIO

from segstudio.data.atomic_files import atomic_write
from segstudio.data.tables import Row, Table, TableError

IDENTIFIER = "identifier"
"""Column with the name of the object, which is unique."""

IMAGE = "image"
"""Column with the ``gs://`` reference for tasks."""


def manifest_path(source: Path, given: Path | None) -> Path:
    """Return the path of the manifest: as given, else next to the source.

    Raises:
        TableError: The manifest would overwrite the source.
    """
    whole = source.absolute()
    stem = whole.name if source.is_dir() else whole.stem
    path = given or whole.with_name(f"{stem}.manifest.csv")
    if path.exists() and path.samefile(source):
        raise TableError(f"the manifest would replace {source}", "choose another --manifest")
    return path


def manifest_columns(table: Table, identifier: str, image: str) -> tuple[str, ...]:
    """Return the input's columns, plus the two of the manifest.

    Raises:
        TableError: The input already has one of the two, or they are equal.
    """
    for added in (identifier, image):
        if added in table.columns:
            raise TableError(
                f"the input has a column {added!r} already",
                "name the manifest's own with --identifier-column and --image-column",
            )
    if identifier == image:
        raise TableError(f"the manifest cannot have two columns {image!r}")
    return (*table.columns, identifier, image)


class ManifestWriter:
    """Writer of a manifest, row by row.

    Args:
        file: CSV file to write to.
        columns: Columns from ``manifest_columns``.
        bucket: Bucket of the objects.
    """

    def __init__(self, file: TextIO, columns: tuple[str, ...], bucket: str) -> None:
        self._bucket = bucket
        self._rows = csv.writer(file)  # with \r\n line ends, both characters are quoted in cells
        self._rows.writerow(columns)

    @classmethod
    @contextmanager
    def open(cls, path: Path, columns: tuple[str, ...], bucket: str) -> Iterator[Self]:
        """Open a manifest that replaces ``path`` on success.

        Raises:
            TableError: The file cannot be written.
        """
        with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
            yield cls(file, columns, bucket)

    def add(self, row: Row, name: str) -> None:
        """Write a row with the object of its image."""
        self._rows.writerow((*row.values.values(), name, f"gs://{self._bucket}/{name}"))
