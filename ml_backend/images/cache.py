"""Encoded images, or other bytes, on disk, shared by threads and processes.

One file an image: 32 bytes of SHA-256, then the bytes it is of. A file appears by renaming, so it
is whole or not there; one that fails its checksum is deleted. The time of modification is when the
image was fetched, the time of access when it was last used.
"""

import hashlib
import logging
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

logger = logging.getLogger(__name__)

SUFFIX = ".image"
DIGEST_BYTES = 32
_STEP = 1 / 64


Tell = Callable[[str], None]
"""Is told of a cache's trouble: ``damaged`` (a file was dropped), ``full`` (or not writable)."""


def ignore(_trouble: str) -> None:
    """A ``Tell`` for those whom nobody asks about it."""


class DiskCache:
    """Keeps at most ``max_bytes`` in ``folder``; the least recently used image goes first.

    No error leaves this class: where the disk is full or read-only, images are simply not kept, and
    one warning says so. Safe for many threads and processes.

    Args:
        folder: Made when it is needed.
        max_bytes: The most that it may hold.
        suffix: Of the names of files.
        tell: Is told of trouble.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        suffix: str = SUFFIX,
        tell: Tell = ignore,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._suffix = suffix
        self._tell = tell
        self._free = 0
        self._failing = False

    def get(self, key: str, lifetime: float) -> bytes | None:
        """Look up an image.

        Args:
            key: Names the image.
            lifetime: The greatest age, in seconds, at which a copy still counts.
        """
        path = self._path(key)
        try:
            fetched = path.stat().st_mtime
            if not _counts(fetched, lifetime):
                return None
            content = path.read_bytes()
            data = memoryview(content)[DIGEST_BYTES:]
            if hashlib.sha256(data).digest() != content[:DIGEST_BYTES]:
                logger.warning("Dropped a damaged file from the cache: %s", path.name)
                self._tell("damaged")
                path.unlink(missing_ok=True)
                return None
        except OSError:
            return None
        with suppress(OSError):  # read-only: then the order of use is not kept
            os.utime(path, (time.time(), fetched))
        return content[DIGEST_BYTES:]

    def digest(self, key: str, lifetime: float = math.inf) -> str | None:
        """SHA-256 as hex of what ``get`` would give, unless that is damaged; reads no more."""
        try:
            with self._path(key).open("rb") as file:
                counts = _counts(os.fstat(file.fileno()).st_mtime, lifetime)
                head = file.read(DIGEST_BYTES) if counts else b""
        except OSError:
            return None
        return head.hex() if len(head) == DIGEST_BYTES else None

    def put(self, key: str, data: bytes) -> bool:
        """Keep an image, and make room for it; return whether it is kept."""
        if DIGEST_BYTES + len(data) > self._max_bytes:
            return False
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(DIGEST_BYTES + len(data))
            self._write(self._path(key), data)
        except OSError as error:
            if not self._failing:
                logger.warning(
                    "Nothing is cached on disk for now: %s: %s", self._folder, error.strerror
                )
            self._failing = True
            self._tell("full")
            return False
        self._failing = False
        return True

    def drop(self, key: str) -> None:
        """Forget an image, if it is kept."""
        with suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / f"{name}{self._suffix}"

    def _make_room(self, needed: int) -> None:
        """Delete until ``needed`` bytes fit; what a killed process left half written counts too.

        Files are counted once for many images: each process, and each thread between two lines
        here, may exceed the limit by ``_STEP`` of it.
        """
        if needed <= self._free:
            self._free -= needed
            return
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        step = int(self._max_bytes * _STEP)
        wanted = self._max_bytes if total + needed <= self._max_bytes else self._max_bytes - step
        for _, size, path in files:
            if total + needed <= wanted:
                break
            path.unlink(missing_ok=True)
            total -= size
        self._free = max(min(step, self._max_bytes - total - needed), 0)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Give last use, size and path of each file."""
        for path in self._folder.glob(f"*{self._suffix}"):
            with suppress(FileNotFoundError):  # another process deleted it
                stat = path.stat()
                yield stat.st_atime, stat.st_size, path

    def _write(self, path: Path, data: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=self._suffix)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(data).digest())
                file.write(data)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


def _counts(fetched: float, lifetime: float) -> bool:
    """Whether a copy of that time is young enough; one from the future is not."""
    return math.isinf(lifetime) or 0 <= time.time() - fetched < lifetime
