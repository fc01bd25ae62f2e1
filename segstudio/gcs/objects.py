"""Interface to the objects in a bucket, implemented by Google Cloud Storage and in tests."""

import base64
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import google_crc32c

from ml_backend.errors import SegstudioError

_md5 = partial(hashlib.md5, usedforsecurity=False)
_CHUNK = 1 << 20


@dataclass(frozen=True)
class ObjectMeta:
    """Metadata of an object.

    Attributes:
        generation: Generation of the content; grows with each write.
        size: Size in bytes.
        md5: MD5 in base64; None for an object composed of others.
        crc32c: CRC32C in base64, big-endian.
    """

    generation: int
    size: int
    md5: str | None
    crc32c: str


class BucketError(SegstudioError):
    """A bucket is unusable.

    Attributes:
        status: HTTP status of Google's response; None without a response.
    """

    def __init__(self, message: str, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class PreconditionFailedError(SegstudioError, kind="changed"):
    """The object has changed since the bucket was listed."""


class Objects(Protocol):
    """Objects of one bucket; each method may raise BucketError."""

    def list(self, prefix: str) -> Iterator[tuple[str, ObjectMeta]]:
        """Yield all objects whose names begin with ``prefix``, page by page."""

    def get(self, name: str) -> ObjectMeta | None:
        """Return the metadata of an object; None if it does not exist."""

    def put(self, name: str, path: Path, replaces: int) -> None:
        """Write a file as an object, atomically.

        Args:
            name: Object name.
            path: Path of the file.
            replaces: Generation that may be replaced; 0: the name must be unused. So a retried
                write never happens twice.

        Raises:
            PreconditionFailedError: The object has another generation.
            OSError: The file cannot be read.
        """


def same_content(stored: ObjectMeta, path: Path) -> bool:
    """Return whether file and object are equal by size and checksum; reads the file once.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size != stored.size:
            return False
        if stored.md5 is not None:
            return _base64(hashlib.file_digest(file, _md5).digest()) == stored.md5
        checksum = 0
        while chunk := file.read(_CHUNK):
            checksum = google_crc32c.extend(checksum, chunk)
        return _base64(checksum.to_bytes(4, "big")) == stored.crc32c


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
