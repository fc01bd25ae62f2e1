"""``gs://bucket/object`` references."""

import math
import re
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageError, ImageFetchError, ImageReferenceError
from ml_backend.images.base import Fetched, Location, Source, TaskAccess, Trace, no_trace
from ml_backend.images.label_studio_media import LabelStudio
from ml_backend.images.redact import names_hash, redact
from ml_backend.images.settings import ImageSettings

if TYPE_CHECKING:
    from ml_backend.images.gcs_objects import Objects

GENERATION = re.compile(r"(.+)#(\d{16})", re.DOTALL)
BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


WHAT = "an object in Google Cloud Storage"


@dataclass(frozen=True)
class GcsAddress:
    """Parsed ``gs://bucket/name``.

    Attributes:
        bucket: Bucket name.
        name: Object name or name prefix, taken literally: no escapes, queries or fragments; may be
            empty.
    """

    bucket: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an address.

        Raises:
            ValueError: ``text`` does not begin with ``gs://``, or the bucket name is invalid.
        """
        bucket, _, name = text[5:].partition("/")
        if text[:5].lower() != "gs://" or not BUCKET.fullmatch(bucket):
            raise ValueError(f"{text!r} names no bucket")
        return cls(bucket, name)

    def __str__(self) -> str:
        return f"gs://{self.bucket}/{self.name}"


class NoAccessError(ImageFetchError, kind="image_fetch"):
    """The backend's own credentials have no access to the bucket."""


class NoCredentialsError(NoAccessError, kind="image_fetch"):
    """There are no credentials, or Google does not accept them."""


class CloudStorage(Source):
    """Objects in buckets, read with our own credentials, else through Label Studio."""

    def __init__(
        self,
        settings: ImageSettings,
        label_studio: LabelStudio | None = None,
        trace: Trace = no_trace,
    ) -> None:
        self._settings = settings
        self._trace = trace
        self._label_studio = label_studio

    def locate(self, reference: str, access: TaskAccess) -> Location | None:
        """See ``Source``. A suffix of ``#`` and 16 digits is a generation, as in ``gsutil``."""
        if reference[:5].lower() != "gs://":
            return None
        try:
            address, generation = _parse_object(reference)
        except ValueError:
            raise ImageReferenceError(
                f"{redact(reference)} names no object in a bucket", "write gs://bucket/object"
            ) from None
        key = same = f"gs://{reference[5:]}"
        fetch = partial(self._fetch, key, address, generation, access)
        if access.project is not None and not self._settings.google_key(address.bucket):
            # Label Studio may grant access to one project and not to another.
            key = f"{key} of project {access.project}"
        if generation or names_hash(address.name):
            return Location(key, math.inf, fetch, same, what=WHAT)
        return Location(key, self._settings.image_cache_seconds, fetch, what=WHAT)

    def _fetch(
        self,
        reference: str,
        address: GcsAddress,
        generation: int | None,
        access: TaskAccess,
        deadline: Deadline,
        etag: str,
    ) -> Fetched | None:
        try:
            return Fetched(self._objects.read(address.bucket, address.name, generation, deadline))
        except NoAccessError as error:
            known = self._settings.label_studio_url is not None and access.task is not None
            own_key = self._settings.google_key(address.bucket) is not None
            if self._label_studio is None or own_key or not known:
                raise
            own = error
        self._trace("our own Google credentials", own.message)
        try:
            return self._label_studio.locate_object(reference, access).fetch(deadline, etag)
        except ImageError as error:
            if not isinstance(own, NoCredentialsError):
                raise own from error
            raise ImageFetchError(f"{own.message}; {error.message}", own.hint) from error

    @cached_property
    def _objects(self) -> "Objects":
        from ml_backend.images.gcs_objects import Objects

        return Objects(self._settings)


def _parse_object(reference: str) -> tuple[GcsAddress, int | None]:
    """Split a reference into object address and generation.

    Raises:
        ValueError: The reference names no object.
    """
    address = GcsAddress.parse(reference)
    match = GENERATION.fullmatch(address.name)
    name, generation = (match[1], int(match[2])) if match else (address.name, None)
    if not 1 <= len(name.encode()) <= 1024:
        raise ValueError(f"{name!r} is not the name of an object")
    return GcsAddress(address.bucket, name), generation
