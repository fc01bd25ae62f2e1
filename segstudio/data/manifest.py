"""The manifest: the table of what is in the bucket, which later joins labels to rows."""

import csv
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from segstudio.data.atomic_files import explained, part_of
from segstudio.data.tables import Row, Table, TableError

IDENTIFIER = "identifier"
"""Column with the name of the object: different in every row."""

IMAGE = "image"
"""Column with its ``gs://`` reference, which tasks point to."""


def manifest_path(source: Path, given: Path | None) -> Path:
    """Where the manifest goes: as given, else beside the source.

    Raises:
        TableError: That is the source itself.
    """
    whole = source.absolute()
    stem = whole.name if source.is_dir() else whole.stem
    path = given or whole.with_name(f"{stem}.manifest.csv")
    if path.exists() and path.samefile(source):
        raise TableError(f"the manifest would replace {source}", "choose another --manifest")
    return path


def manifest_columns(table: Table, identifier: str, image: str) -> tuple[str, ...]:
    """The input's columns, then the two of the manifest's own.

    Raises:
        TableError: The input has one of the two already, or they are the same.
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
    """Writes a manifest row by row; as a context, it takes the file's place at a good end only.

    Args:
        path: Of the manifest, a CSV file in UTF-8.
        columns: From ``manifest_columns``.
        bucket: That the objects are in.

    Raises:
        TableError: From each method, when the file cannot be written.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], bucket: str) -> None:
        self._path = path
        self._part = part_of(path)
        self._bucket = bucket
        with explained(path):
            self._file = self._part.open("w", encoding="utf-8", newline="")
            self._rows = csv.writer(self._file)  # with \r\n lines, it quotes both in cells
            self._rows.writerow(columns)

    def add(self, row: Row, name: str) -> None:
        """Write a row and the object that its image is in."""
        with explained(self._path):
            self._rows.writerow((*row.values.values(), name, f"gs://{self._bucket}/{name}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with explained(self._path), self._file:
                if error is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)
