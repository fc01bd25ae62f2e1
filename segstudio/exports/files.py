"""Files and folders that take their place at a good end only, and whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segstudio.tables import TableError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Write a file beside its place; at a good end it replaces what is there.

    Yields:
        The path to write.

    Raises:
        TableError: It cannot be written.
    """
    if path.is_dir():
        raise TableError(f"{path} is a folder", "give the path of a file")
    part = _part(path)
    try:
        with explained(path):
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path, marker: str) -> Iterator[Path]:
    """Fill a folder beside its place; at a good end it replaces one that was made so before.

    Args:
        path: Of the folder.
        marker: Name of a file that is in each folder of its kind.

    Yields:
        The folder to fill.

    Raises:
        TableError: It cannot be written, or there is something else in its place.
    """
    if path.exists() and not (path.is_dir() and (_is_empty(path) or (path / marker).is_file())):
        raise TableError(f"{path} holds something else", "give the path of a new folder")
    part, old = _part(path), path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        with explained(path):
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
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write into an error of ours."""
    try:
        yield
    except OSError as error:
        raise TableError(f"cannot write {path}: {error.strerror or error}") from None


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None
