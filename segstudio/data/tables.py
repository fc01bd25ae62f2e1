"""Rows streamed from a CSV file or a folder of images, any number of times."""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ml_backend.errors import SegstudioError

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp"})
IMAGE_SUFFIXES = JPEG_SUFFIXES | frozenset(
    {".png", ".apng", ".webp", ".gif", ".bmp", ".avif", ".tif", ".tiff"}
)
"""Image formats that the backends read."""

MEDIA_SUFFIXES = IMAGE_SUFFIXES | {
    *(".mp4", ".m4v", ".webm", ".mov", ".ogv"),
    *(".mp3", ".m4a", ".wav", ".flac", ".ogg", ".opus", ".aac"),
}
"""Images, and video and audio formats that browsers play."""

FOLDER_COLUMNS = ("path", "folder", "stem", "suffix")
"""Columns of a folder's files: ``a/b.jpg``, ``a``, ``b`` and ``.jpg``."""


class TableError(SegstudioError):
    """A table cannot be read or written."""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        number: Row number, 1 for the first below the header.
        values: Values by column, complete.
        predictions: Predictions in Label Studio's format; only shards have them.
    """

    number: int
    values: Mapping[str, str]
    predictions: tuple[Mapping[str, Any], ...] = ()


class Table(Protocol):
    """Rows that can be streamed repeatedly; each time may raise TableError."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Unique names of the columns."""

    def __iter__(self) -> Iterator[Row]:
        """Start at the first row."""


class CsvTable:
    """CSV file in UTF-8 with a header; one row at a time is in memory.

    Raises:
        TableError: The file cannot be read, or its header names a column twice.
    """

    def __init__(self, path: Path, delimiter: str = ",") -> None:
        self._path = path
        self._delimiter = delimiter
        self.columns = next(self._lines(), ())
        twice = [repr(name) for name, count in Counter(self.columns).items() if count > 1]
        if not self.columns or twice:
            problem = f"names {', '.join(twice)} twice" if twice else "is empty"
            raise TableError(f"the header of {path} {problem}")

    def __iter__(self) -> Iterator[Row]:
        """See ``Table``."""
        lines = self._lines()
        next(lines, None)
        for number, cells in enumerate(lines, start=1):
            if len(cells) != len(self.columns):
                raise TableError(
                    f"row {number} of {self._path} has {len(cells)} cells, "
                    f"its header {len(self.columns)}",
                    "check that texts are quoted and that --delimiter is right",
                )
            yield Row(number, dict(zip(self.columns, cells, strict=True)))

    def _lines(self) -> Iterator[tuple[str, ...]]:
        """Yield the lines that are not empty."""
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                for cells in csv.reader(file, delimiter=self._delimiter, strict=True):
                    if cells:
                        yield tuple(cells)
        except OSError as error:
            raise TableError(f"cannot read {self._path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise TableError(f"{self._path} is not in UTF-8", "save it as CSV UTF-8") from None
        except csv.Error as error:
            raise TableError(f"{self._path} is not a CSV file: {error}") from None


class FolderTable:
    """Images in a folder and its subfolders; see ``image_files``.

    Args:
        folder: Root folder.
        suffixes: File suffixes to include, in lower case.

    Raises:
        TableError: The folder does not exist.
    """

    columns = FOLDER_COLUMNS

    def __init__(self, folder: Path, suffixes: frozenset[str] = IMAGE_SUFFIXES) -> None:
        if not folder.is_dir():
            raise TableError(f"there is no folder {folder}")
        self._folder = folder
        self._suffixes = suffixes
        self.left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Row]:
        """See ``Table``; ``left_out`` counts all other files by suffix."""
        self.left_out.clear()
        found = image_files(self._folder, self._suffixes, left_out=self.left_out)
        for number, path in enumerate(found, start=1):
            folder = "" if path.parent == Path() else path.parent.as_posix()
            values = (path.as_posix(), folder, path.stem, path.suffix)
            yield Row(number, dict(zip(FOLDER_COLUMNS, values, strict=True)))


def describe_left_out(left_out: Counter[str]) -> str:
    """Return a sentence on the number and kinds of ignored files; empty for none."""
    if not left_out:
        return ""
    kinds = ", ".join(
        f"{count} {suffix or 'without suffix'}" for suffix, count in sorted(left_out.items())
    )
    return f"{left_out.total()} files of other kinds are ignored: {kinds}"


def image_files(
    root: Path,
    suffixes: frozenset[str] = IMAGE_SUFFIXES,
    below: Path = Path(),
    left_out: Counter[str] | None = None,
) -> Iterator[Path]:
    """Yield the image files in a folder and its subfolders, sorted by name.

    Skips hidden files, broken links and links to folders. The names of one folder at a time are
    in memory.

    Args:
        root: Root folder.
        suffixes: Suffixes of images, in lower case.
        below: Folder to start from, relative to ``root``.
        left_out: Counter of all other files by suffix.

    Yields:
        Paths relative to ``root``.

    Raises:
        TableError: A folder cannot be read.
    """
    try:
        with os.scandir(root / below) as scan:
            entries = sorted(
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in scan
                if not entry.name.startswith(".")
                and (entry.is_dir(follow_symlinks=False) or entry.is_file())
            )
    except OSError as error:
        raise TableError(f"cannot read the folder {root / below}: {error.strerror}") from None
    for name, is_folder in entries:
        if is_folder:
            yield from image_files(root, suffixes, below / name, left_out)
        elif (suffix := (below / name).suffix.lower()) in suffixes:
            yield below / name
        elif left_out is not None:
            left_out[suffix] += 1
