"""Where shards are kept: a folder or a bucket. A file is there whole, or not at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ml_backend.errors import SettingsError
from segstudio.data.atomic_files import PART_SUFFIX, atomic_write
from segstudio.data.tables import TableError
from segstudio.gcs.client import TIMEOUT, GcsConnection, GoogleSettings, bucket_name, connect


class Store(Protocol):
    """Named files below one place."""

    def names(self, below: str) -> Iterator[str]:
        """Names of the files in the folder ``below``, or in the place itself, without it."""

    def read(self, name: str) -> bytes | None:
        """One file, if it is there."""

    def write(self, name: str, content: bytes) -> None:
        """Make or replace a file in one step."""


class Folder:
    """A folder of this machine, made when it is first written to."""

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
    """Objects of a bucket whose names begin with a prefix."""

    def __init__(self, cloud: GcsConnection, bucket: str, prefix: str) -> None:
        self._cloud = cloud
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def names(self, below: str) -> Iterator[str]:
        """See ``Store``."""
        prefix = f"{self._prefix}{below}/" if below else self._prefix
        with self._cloud.explained(self._bucket):
            found = self._cloud.client.list_blobs(
                self._bucket, prefix=prefix, timeout=TIMEOUT, retry=self._cloud.retry
            )
            yield from (blob.name.removeprefix(prefix) for blob in found)

    def read(self, name: str) -> bytes | None:
        """See ``Store``."""
        with self._cloud.explained(self._bucket):
            bucket = self._cloud.client.bucket(self._bucket)
            options = {"timeout": TIMEOUT, "retry": self._cloud.retry}
            blob = bucket.get_blob(self._prefix + name, **options)
            return None if blob is None else bytes(blob.download_as_bytes(**options))

    def write(self, name: str, content: bytes) -> None:
        """See ``Store``."""
        with self._cloud.explained(self._bucket):
            blob = self._cloud.client.bucket(self._bucket).blob(self._prefix + name)
            blob.upload_from_string(content, timeout=TIMEOUT, retry=self._cloud.retry)


def split_address(text: str) -> tuple[str, str]:
    """Bucket and prefix of ``gs://bucket/prefix``.

    Raises:
        SettingsError: It names no bucket.
    """
    if not text.startswith("gs://"):
        raise SettingsError(f"{text!r} is not the address of a bucket", "write gs://bucket/prefix")
    bucket, _, prefix = text.removeprefix("gs://").partition("/")
    return bucket_name(bucket), prefix


def open_store(place: str, google: GoogleSettings) -> Store:
    """The folder or bucket that ``place`` names."""
    if not place.startswith("gs://"):
        return Folder(Path(place))
    return Bucket(connect(google), *split_address(place))
