"""Disk cache of embeddings, which survives restarts and is shared by the workers of a machine."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from threading import Event
from typing import IO
from zlib import crc32

from ml_backend.embedding_store.base import COMPUTE_SECONDS
from ml_backend.images.cache import DiskCache

_SUFFIX = ".embedding"
_FOREVER = float("inf")
_LOCKS = 64


class DiskStore:
    """Size-limited cache with atomic writes and checksums, like the image cache; never raises.

    Args:
        folder: Cache folder, created on first use.
        max_bytes: Maximum size in bytes; the least recently used entries are deleted first.
        tell: Called with the kind of trouble.
    """

    name = "disk"

    def __init__(self, folder: Path, max_bytes: int, tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._files = DiskCache(folder, max_bytes, _SUFFIX, tell)

    def get(self, key: str) -> bytes | None:
        """See ``ByteStore``."""
        return self._files.get(key, _FOREVER)

    def put(self, key: str, data: bytes) -> None:
        """See ``ByteStore``."""
        self._files.put(key, data)

    def has(self, key: str) -> bool:
        """See ``ByteStore``."""
        return self._files.digest(key) is not None

    def drop(self, key: str) -> None:
        """See ``ByteStore``."""
        self._files.drop(key)

    @contextmanager
    def compute_lock(self, key: str) -> Iterator[None]:
        """See ``ByteStore``. Some keys share a lock; the kernel releases that of a dead process."""
        with ExitStack() as stack:
            with suppress(OSError):  # without a writable disk there is nothing to wait for
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                path = self._folder / f"{crc32(key.encode()) % _LOCKS}.lock"
                _lock(stack.enter_context(path.open("ab")))
            yield


def _lock(file: IO[bytes]) -> None:
    """Acquire the lock of a file, or give up after the time limit."""
    again, give_up = Event(), time.monotonic() + COMPUTE_SECONDS
    while time.monotonic() < give_up:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            again.wait(0.05)
        else:
            return
