"""Atomic writes: an output appears only when it is complete."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segstudio.data.tables import TableError

PART_SUFFIX = ".part"
"""Suffix of incomplete output."""


@contextmanager
def atomic_write(path: Path, mode: int = 0o666) -> Iterator[Path]:
    """Write a file that replaces ``path`` on success.

    Args:
        path: Destination file.
        mode: Permissions before the umask; they hold from the first byte on.

    Yields:
        Path of an empty file to write to.

    Raises:
        TableError: The file cannot be written.
    """
    if path.is_dir():
        raise TableError(f"{path} is a folder", "give the path of a file")
    part = _temporary(path, PART_SUFFIX)
    try:
        with _writing(path):
            part.unlink(missing_ok=True)
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, marker: str) -> Iterator[Path]:
    """Fill a folder that replaces ``path`` on success.

    Args:
        path: Destination folder; an earlier one of the same kind, or an empty one, is replaced.
        marker: Name of a file that each folder of this kind contains.

    Yields:
        Path of an empty folder to fill.

    Raises:
        TableError: The folder cannot be written, or ``path`` is something else.
    """
    if path.exists() and not (path.is_dir() and (_is_empty(path) or (path / marker).is_file())):
        raise TableError(f"{path} contains other files", "give the path of a new folder")
    part, old = _temporary(path, PART_SUFFIX), _temporary(path, ".old")
    try:
        with _writing(path):
            part.mkdir()
            yield part
            if path.exists():
                path.rename(old)
            part.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TableError(f"cannot write {path}: {error.strerror or error}") from None


def _temporary(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{suffix}")


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None
