"""Copies of fetched images on disk: each content once, and the content of each reference."""

import hashlib
import math

from ml_backend.images.base import Fetched, Location
from ml_backend.images.cache import DiskCache


class ImageCopies:
    """Cached images, found by the key and by the name of their location.

    Each reference is stored as the SHA-256 and the ETag of its content, next to the content
    itself, so a copy fetched through another signature is found again.

    Args:
        disk: Cache that holds the copies.
    """

    def __init__(self, disk: DiskCache) -> None:
        self._disk = disk

    def digest(self, location: Location) -> str | None:
        """Return the SHA-256 of the content in hex while a cached copy is valid, else None."""
        known = self._lookup(location.key, location.lifetime) if location.lifetime else None
        return known[0] if known else None

    def get(self, location: Location) -> bytes | None:
        """Return the content while a cached copy is valid, else None."""
        digest = self.digest(location)
        return self._disk.get(digest, math.inf) if digest else None

    def outdated(self, location: Location) -> Fetched | None:
        """Return a copy of any age that has an ETag, to be confirmed by its server."""
        known = self._lookup(location.name or location.key, math.inf) if location.lifetime else None
        data = self._disk.get(known[0], math.inf) if known and known[1] else None
        return None if known is None or data is None else Fetched(data, known[1])

    def put(self, location: Location, fetched: Fetched) -> None:
        """Store an image."""
        digest = hashlib.sha256(fetched.data).hexdigest()
        if self._disk.put(digest, fetched.data):
            self._point(location, digest, fetched.etag)

    def confirm(self, location: Location, fetched: Fetched) -> None:
        """Restart the lifetime of a copy that its server has confirmed."""
        self._point(location, hashlib.sha256(fetched.data).hexdigest(), fetched.etag)

    def drop(self, location: Location) -> None:
        """Remove an image."""
        for name in {location.key, location.name or location.key}:
            if known := self._lookup(name, math.inf):
                self._disk.drop(known[0])
            self._disk.drop(_reference(name))

    def _point(self, location: Location, digest: str, etag: str) -> None:
        for name in {location.key, location.name or location.key}:
            self._disk.put(_reference(name), f"{digest}\n{etag}".encode())

    def _lookup(self, name: str, lifetime: float) -> tuple[str, str] | None:
        """Return SHA-256 and ETag of the content."""
        record = self._disk.get(_reference(name), lifetime)
        if record is None:
            return None
        digest, _, etag = record.decode().partition("\n")
        return digest, etag


def _reference(name: str) -> str:
    return f"reference {name}"
