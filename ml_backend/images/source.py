"""From a reference in ``task.data`` to pixels."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ml_backend.deadline import Deadline
from ml_backend.errors import (
    DeadlineExceededError,
    ImageDecodeError,
    ImageFetchError,
    ImageReferenceError,
)
from ml_backend.images.addresses import AddressPolicy, Resolver, parse_host, resolve_name
from ml_backend.images.base import NO_TASK, Fetched, Location, TaskAccess, Trace, no_trace
from ml_backend.images.cache import DiskCache, Tell, ignore
from ml_backend.images.copies import ImageCopies
from ml_backend.images.data_uri import DataUri
from ml_backend.images.decode import decode, reduced_from
from ml_backend.images.gcs import CloudStorage
from ml_backend.images.http import HttpClient
from ml_backend.images.label_studio_media import LabelStudio, Storages
from ml_backend.images.pixel_budget import PixelBudget
from ml_backend.images.redact import redact
from ml_backend.images.settings import ImageSettings
from ml_backend.images.web import Web

MAX_REFERENCE_LENGTH = 8192
HINTS = {
    "ftp": "move the images to a server that offers https",
    "file": "use the local files storage of Label Studio (/data/local-files/?d=…)",
}
HINT = "use an upload to Label Studio, https://, gs:// or data:image/…"


@dataclass(frozen=True, eq=False)
class Image:
    """Decoded image of a task.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright, contiguous, not writeable.
        digest: SHA-256 of the encoded bytes in hex.
    """

    pixels: npt.NDArray[np.uint8]
    digest: str


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """Image of a task, fetched but not decoded.

    Attributes:
        digest: SHA-256 of the encoded bytes in hex.
        identity: Content identifier of 64 hex digits, equal to ``ImageSource.identify``.
        decode: Returns ``pixels`` as in ``Image``; raises ImageDecodeError, or
            DeadlineExceededError while decoded images in use leave no memory.
        data: Encoded image file, as fetched.
        reduced_from: Returns height and width, as browsers show them, of a huge JPEG that
            ``decode`` returns reduced; None if it does not.
    """

    digest: str
    identity: str
    decode: Callable[[], npt.NDArray[np.uint8]]
    data: bytes
    reduced_from: Callable[[], tuple[int, int] | None] = lambda: None


class ImageSource:
    """Loader of images from all supported references. One per process; thread-safe.

    Args:
        settings: Limits, addresses and credentials.
        resolver: Resolves host names to addresses.
        tell: Called on trouble with the disk cache.
        trace: Called with each step of a fetch.
    """

    def __init__(
        self,
        settings: ImageSettings,
        resolver: Resolver = resolve_name,
        tell: Tell = ignore,
        trace: Trace = no_trace,
    ) -> None:
        self._settings = settings
        self._pixel_budget = PixelBudget(settings.max_image_pixels, settings.image_seconds)
        disk = DiskCache(settings.image_cache_dir, settings.image_cache_bytes, tell=tell)
        self._copies = ImageCopies(disk)
        client = HttpClient(settings, trace)
        policy = AddressPolicy(map(parse_host, settings.allowed_image_hosts), resolver)
        web = Web(client, policy, settings.image_cache_seconds)
        label_studio = LabelStudio(settings, client, policy, web)
        self._sources = (
            DataUri(settings.max_image_bytes),
            CloudStorage(settings, label_studio, trace),
            label_studio,
            web,
            Storages(label_studio),
        )

    @property
    def max_pixels(self) -> int:
        """Maximum number of pixels of an image; larger JPEGs are decoded reduced."""
        return self._settings.max_image_pixels

    def load(
        self, reference: str, timeout: float | None = None, access: TaskAccess = NO_TASK
    ) -> Image:
        """Fetch, check and decode one image.

        Args:
            reference: Image reference from ``task.data``.
            timeout: Time limit of the whole fetch in seconds; at most ``image_seconds``.
            access: Task whose login and storages to use.

        Raises:
            ImageReferenceError: The reference is of no supported kind.
            ImageRefusedError: The reference points to a forbidden place.
            ImageFetchError: The image was not found, access was denied, or the server failed.
            ImageDecodeError: The format, the size or damage prevents decoding.
        """
        encoded = self.open(reference, timeout, access)
        return Image(encoded.decode(), encoded.digest)

    def describe(self, reference: str, access: TaskAccess = NO_TASK) -> str:
        """Return the kind of location of an image, without any request; raises as ``load``."""
        return self._locate(reference, access).what

    def identify(self, reference: str, access: TaskAccess = NO_TASK) -> str | None:
        """Return the ``identity`` of an image if it is known without fetching; else None.

        It is known for references that always lead to the same bytes (uploads, ``data:``, ``gs://``
        with a generation, SHA-256 names), and for others while a cached copy is valid.

        Raises:
            ImageReferenceError: The reference is of no supported kind.
            ImageRefusedError: The reference points to a forbidden place.
        """
        location = self._locate(reference, access)
        if location.content_id:
            return _fingerprint(location.content_id)
        return self._copies.digest(location)

    def open(
        self, reference: str, timeout: float | None = None, access: TaskAccess = NO_TASK
    ) -> EncodedImage:
        """Fetch an image without decoding it; otherwise as ``load``."""
        location = self._locate(reference, access)
        data = self._copies.get(location)
        if data is None:
            data = self._refresh(location, timeout)
        digest = hashlib.sha256(data).hexdigest()
        name = location.content_id
        identity = _fingerprint(name) if name else digest
        full_size = partial(reduced_from, data, self._settings.max_image_pixels)
        return EncodedImage(
            digest, identity, partial(self._decode, location, data), data, full_size
        )

    def _refresh(self, location: Location, timeout: float | None) -> bytes:
        """Fetch the image, or confirm that an outdated copy is still valid."""
        copy = self._copies.outdated(location)
        fetched = self._fetch(location, timeout, copy.etag if copy else "")
        if fetched is None:
            assert copy is not None  # noqa: S101 - None is returned only for an ETag
            self._copies.confirm(location, copy)
            return copy.data
        if location.lifetime:
            self._copies.put(location, fetched)
        return fetched.data

    def _fetch(self, location: Location, timeout: float | None, etag: str) -> Fetched | None:
        seconds = self._settings.image_seconds
        if timeout is not None:
            seconds = min(timeout, seconds)
        try:
            return location.fetch(Deadline.after(seconds), etag)
        except DeadlineExceededError as error:
            raise ImageFetchError(
                f"the image did not arrive within {max(seconds, 0):.3g} s",
                "its server is slow (IMAGE_SECONDS) or the time for this request is spent"
                " (PREDICT_SECONDS); try again",
            ) from error

    def _decode(self, location: Location, data: bytes) -> npt.NDArray[np.uint8]:
        try:
            return decode(data, self._settings.max_image_pixels, self._pixel_budget)
        except ImageDecodeError:
            self._copies.drop(location)  # ask its source again the next time
            raise

    def _locate(self, reference: str, access: TaskAccess) -> Location:
        reference = _check_reference(reference)
        for source in self._sources:
            if location := source.locate(reference, access):
                return location
        scheme = reference.partition("://")[0].lower()
        raise ImageReferenceError(
            f"{redact(reference)} is not a reference we can follow", HINTS.get(scheme, HINT)
        )


def _fingerprint(name: str) -> str:
    """Return a digest of a content identifier that never equals the digest of a file."""
    return hashlib.sha256(b"name:" + name.encode()).hexdigest()


def _check_reference(reference: object) -> str:
    """Refuse values that are not text."""
    if not isinstance(reference, str) or not reference.strip():
        raise ImageReferenceError("the task holds no image reference", HINT)
    reference = reference.strip()
    try:
        size = len(reference.encode())
    except UnicodeEncodeError as error:
        raise ImageReferenceError("the image reference is not valid text") from error
    if size > MAX_REFERENCE_LENGTH and reference[:5].lower() != "data:":
        raise ImageReferenceError(f"the image reference has {size} characters, too long for a URL")
    return reference
