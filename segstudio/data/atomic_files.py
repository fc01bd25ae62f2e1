"""Files and folders that take their place at a good end only, and whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segstudio.data.tables import TableError


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
    part = part_of(path)
    try:
        with explained(path):
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes, mode: int) -> None:
    """Write a small file, whole or not at all.

    Args:
        path: Of the file.
        content: Text goes as UTF-8.
        mode: Who may read it: it has this mode from the first byte on.
    """
    part = part_of(path)
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    part.replace(path)


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
    part, old = part_of(path), path.with_name(f".{path.name}.{os.getpid()}.old")
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


def part_of(path: Path) -> Path:
    """Beside a file's or folder's place: what is to take it at a good end."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None
