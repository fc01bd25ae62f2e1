"""Embeddings on disk: they survive a restart, and the workers of a machine share them."""

from collections.abc import Callable
from pathlib import Path

from ml_backend.images.cache import DiskCache

_SUFFIX = ".embedding"
_FOREVER = float("inf")


class DiskTier:
    """Bounded, atomic and checked on reading, as the cache of images is; never raises.

    Args:
        folder: Made when it is needed.
        max_bytes: The most that it may hold; what was unused for longest goes first.
        tell: Is told of trouble, in a word.
    """

    name = "disk"

    def __init__(self, folder: Path, max_bytes: int, tell: Callable[[str], None]) -> None:
        self._files = DiskCache(folder, max_bytes, _SUFFIX, tell)

    def get(self, key: str) -> bytes | None:
        """See ``Tier``."""
        return self._files.get(key, _FOREVER)

    def put(self, key: str, data: bytes) -> None:
        """See ``Tier``."""
        self._files.put(key, data)

    def has(self, key: str) -> bool:
        """See ``Tier``."""
        return self._files.digest(key) is not None

    def drop(self, key: str) -> None:
        """See ``Tier``."""
        self._files.drop(key)
