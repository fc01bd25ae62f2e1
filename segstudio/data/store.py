"""Storage of shards: a folder or a bucket, with atomic writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from segstudio.data.atomic_files import PART_SUFFIX, atomic_write
from segstudio.data.tables import TableError
from segstudio.gcs.client import GoogleObjects, GoogleSettings, connect, parse_address


class Store(Protocol):
    """Named files in one place."""

    def names(self, below: str) -> Iterator[str]:
        """Yield the names of the files in the folder ``below``, without it."""

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None if it does not exist."""

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file atomically."""


class Folder:
    """Local folder, created on the first write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self, below: str) -> Iterator[str]:
        """See ``Store``."""
        folder = self._path / below
        if folder.is_dir():
            yield from (path.name for path in folder.iterdir() if path.suffix != PART_SUFFIX)

    def read(self, name: str) -> bytes | None:
        """See ``Store``."""
        path = self._path / name
        return path.read_bytes() if path.exists() else None

    def write(self, name: str, content: bytes) -> None:
        """See ``Store``."""
        path = self._path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TableError(f"cannot write {path}: {error.strerror}") from None
        with atomic_write(path) as part:
            part.write_bytes(content)


class Bucket:
    """Objects of a bucket with a common prefix."""

    def __init__(self, objects: GoogleObjects, prefix: str) -> None:
        self._objects = objects
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def names(self, below: str) -> Iterator[str]:
        """See ``Store``."""
        prefix = f"{self._prefix}{below}/" if below else self._prefix
        return (name.removeprefix(prefix) for name, _ in self._objects.list(prefix))

    def read(self, name: str) -> bytes | None:
        """See ``Store``."""
        return self._objects.read(self._prefix + name)

    def write(self, name: str, content: bytes) -> None:
        """See ``Store``."""
        self._objects.write(self._prefix + name, content)


def open_store(place: str, google: GoogleSettings) -> Store:
    """Return the folder or bucket that ``place`` names."""
    if not place.startswith("gs://"):
        return Folder(Path(place))
    address = parse_address(place)
    return Bucket(GoogleObjects(connect(google), address.bucket), address.name)
