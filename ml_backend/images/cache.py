"""Disk cache of encoded images or other bytes, shared by threads and processes.

Each image is one file: 32 bytes of SHA-256, then the data. Files appear by an atomic rename, and a
file that fails its checksum is deleted. The modification time is when the image was fetched, the
access time when it was last used.
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
from threading import Lock

logger = logging.getLogger(__name__)

SUFFIX = ".image"
DIGEST_BYTES = 32
_STEP = 1 / 64


Tell = Callable[[str], None]
"""Called on trouble with a cache: ``damaged`` (a file was dropped), ``full`` (or not writable)."""


def ignore(_trouble: str) -> None:
    """Ignore trouble; the default ``Tell``."""


class DiskCache:
    """Least-recently-used cache of at most ``max_bytes`` in ``folder``.

    Never raises on disk errors: if the disk is full or read-only, images are not cached, and one
    warning is logged. Safe for concurrent use by threads and processes.

    Args:
        folder: Cache folder, created on first use.
        max_bytes: Maximum size of all files in bytes.
        suffix: File name suffix of the entries.
        tell: Called with ``damaged`` or ``full`` when something goes wrong.
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
        self._lock = Lock()  # of ``_failing``

    def get(self, key: str, lifetime: float) -> bytes | None:
        """Return a cached image, or None.

        Args:
            key: Key of the image.
            lifetime: Maximum age of a valid copy in seconds.
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
        with suppress(OSError):  # read-only: the order of use is not recorded
            os.utime(path, (time.time(), fetched))
        return content[DIGEST_BYTES:]

    def digest(self, key: str, lifetime: float = math.inf) -> str | None:
        """Return the SHA-256 in hex of what ``get`` would return; does not verify the content."""
        try:
            with self._path(key).open("rb") as file:
                counts = _counts(os.fstat(file.fileno()).st_mtime, lifetime)
                head = file.read(DIGEST_BYTES) if counts else b""
        except OSError:
            return None
        return head.hex() if len(head) == DIGEST_BYTES else None

    def put(self, key: str, data: bytes) -> bool:
        """Store an image, evicting old ones; return whether it is stored."""
        if DIGEST_BYTES + len(data) > self._max_bytes:
            return False
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(DIGEST_BYTES + len(data))
            self._write(self._path(key), data)
        except OSError as error:
            with self._lock:
                news, self._failing = not self._failing, True
            if news:
                logger.warning(
                    "Images are not cached on disk for now: %s: %s",
                    self._folder,
                    error.strerror,
                )
            self._tell("full")
            return False
        self._failing = False
        return True

    def drop(self, key: str) -> None:
        """Remove an image, if it is cached."""
        with suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self._folder / f"{name}{self._suffix}"

    def _make_room(self, needed: int) -> None:
        """Delete files until ``needed`` bytes fit; partial files of killed processes count too.

        Files are counted once for many images, so each process, and each thread between two lines
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
        """Yield last use, size and path of each file."""
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
    """Return whether a copy is young enough; one with a future time is not."""
    return math.isinf(lifetime) or 0 <= time.time() - fetched < lifetime
