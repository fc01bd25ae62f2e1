"""Objects in a bucket as uploads see them: the seam that Google Cloud Storage stands behind."""

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
    """What a bucket tells of an object.

    Attributes:
        generation: Of its content; grows with each write.
        size: In bytes.
        md5: In base64; None for an object composed of others.
        crc32c: In base64, big-endian.
    """

    generation: int
    size: int
    md5: str | None
    crc32c: str


class BucketError(SegstudioError):
    """A bucket cannot be used.

    Attributes:
        status: HTTP status of Google's answer; None where there was none.
    """

    def __init__(self, message: str, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class PreconditionFailedError(SegstudioError, kind="changed"):
    """The object is no longer what it was when the bucket was listed."""


class Objects(Protocol):
    """The objects of one bucket; each method may raise BucketError."""

    def list(self, prefix: str) -> Iterator[tuple[str, ObjectMeta]]:
        """All objects whose names begin with ``prefix``, page by page."""

    def get(self, name: str) -> ObjectMeta | None:
        """One object, if it is there."""

    def put(self, name: str, path: Path, replaces: int) -> None:
        """Write a file as an object, whole or not at all.

        Args:
            name: Of the object.
            path: Of the file.
            replaces: Generation that it may replace; 0: none, the name must be free. So a write
                that is tried again never happens twice.

        Raises:
            PreconditionFailedError: The object has another generation.
            OSError: The file cannot be read.
        """


def same_content(stored: ObjectMeta, path: Path) -> bool:
    """Whether a file holds what is stored, by size and checksum; reads the file at most once.

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
