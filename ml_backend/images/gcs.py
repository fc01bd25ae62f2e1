"""``gs://bucket/object`` references."""

import math
import re
from functools import cached_property, partial
from typing import TYPE_CHECKING

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageReferenceError
from ml_backend.images.base import Location, Source
from ml_backend.images.redact import names_hash, redact
from ml_backend.images.settings import ImageSettings

if TYPE_CHECKING:
    from ml_backend.images.gcs_objects import Objects

GENERATION = re.compile(r"(.+)#(\d{16})", re.DOTALL)
BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


class CloudStorage(Source):
    """Objects in buckets; who has none needs no credentials."""

    def __init__(self, settings: ImageSettings) -> None:
        self._settings = settings

    def locate(self, reference: str) -> Location | None:
        """See ``Source``. Object names are taken literally: no escapes, queries or fragments.

        But as for ``gsutil``, ``#`` and 16 digits at the end are the object's generation.
        """
        if reference[:5].lower() != "gs://":
            return None
        bucket, _, name = reference[5:].partition("/")
        name, generation = _split_generation(name)
        if not BUCKET.fullmatch(bucket) or not 1 <= len(name.encode()) <= 1024:
            raise ImageReferenceError(
                f"{redact(reference)} names no object in a bucket", "write gs://bucket/object"
            )
        key = f"gs://{reference[5:]}"
        fetch = partial(self._fetch, bucket, name, generation)
        if generation or names_hash(name):
            return Location(key, math.inf, fetch, key)
        return Location(key, self._settings.image_cache_seconds, fetch)

    def _fetch(self, bucket: str, name: str, generation: int | None, deadline: Deadline) -> bytes:
        return self._objects.read(bucket, name, generation, deadline)

    @cached_property
    def _objects(self) -> "Objects":
        from ml_backend.images.gcs_objects import Objects

        return Objects(self._settings)


def _split_generation(name: str) -> tuple[str, int | None]:
    match = GENERATION.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, None)
