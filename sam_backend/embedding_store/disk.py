"""Embeddings on disk: they survive a restart, and the workers of a machine share them."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from threading import Event
from typing import IO
from zlib import crc32

from ml_backend.images.cache import DiskCache
from sam_backend.embedding_service import COMPUTE_SECONDS

_SUFFIX = ".embedding"
_FOREVER = float("inf")
_LOCKS = 64


class DiskStore:
    """Bounded, atomic and checked on reading, as the cache of images is; never raises.

    Args:
        folder: Made when it is needed.
        max_bytes: The most that it may hold; what was unused for longest goes first.
        tell: Is told of trouble, in a word.
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
        """See ``ByteStore``. Some keys share a lock; that of a process that dies is free again."""
        with ExitStack() as stack:
            with suppress(OSError):  # a disk that takes nothing holds nothing to wait for
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                path = self._folder / f"{crc32(key.encode()) % _LOCKS}.lock"
                _lock(stack.enter_context(path.open("ab")))
            yield


def _lock(file: IO[bytes]) -> None:
    """Have the lock of a file, or have waited long enough for whoever hangs with it."""
    again, give_up = Event(), time.monotonic() + COMPUTE_SECONDS
    while time.monotonic() < give_up:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            again.wait(0.05)
        else:
            return
