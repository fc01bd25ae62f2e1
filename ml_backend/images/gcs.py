"""``gs://bucket/object`` references, through google-cloud-storage."""

import math
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.cloud import storage  # type: ignore[import-untyped]
from google.cloud.storage.exceptions import (  # type: ignore[import-untyped]
    DataCorruption,
    InvalidResponse,
)
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

from ml_backend.deadline import Deadline
from ml_backend.errors import BudgetError, ImageFetchError, ImageReferenceError
from ml_backend.images.base import Download, Location, Source
from ml_backend.images.credentials import VARIABLE, decode_service_account, make_credentials
from ml_backend.images.references import describe, names_hash
from ml_backend.images.settings import ImageSettings

GENERATION = re.compile(r"(.+)#(\d{16})", re.DOTALL)
BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
HINTS = {
    401: f"the credentials are not accepted; check {VARIABLE}",
    403: "give the service account the role Storage Object Viewer on the bucket",
    404: "check the names of bucket and object in the task",
    429: "the bucket is asked too often; try again later",
}
SERVER_ERROR_HINT = "Google Cloud Storage has a problem; try again later"
UNREACHABLE_HINT = "check that storage.googleapis.com is reachable from here, or try again"
FAILURES = (
    GoogleAPICallError,
    RetryError,
    InvalidResponse,
    DataCorruption,
    GoogleAuthError,
    OSError,
    ValueError,
)
"""What a download raises. The errors of requests are OSErrors; credentials that are not for
googleapis.com are a ValueError."""


class CloudStorage(Source):
    """Reads objects with the service account given, else application default credentials.

    The client is made on first use, so that who has no bucket needs no credentials.
    """

    def __init__(self, settings: ImageSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: storage.Client | None = None

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
                f"{describe(reference)} names no object in a bucket", "write gs://bucket/object"
            )
        key = f"gs://{reference[5:]}"
        fetch = partial(self._fetch, bucket, name, generation)
        if generation or names_hash(name):
            return Location(key, math.inf, fetch, key)
        return Location(key, self._settings.mutable_cache_seconds, fetch)

    def _fetch(self, bucket: str, name: str, generation: int | None, deadline: Deadline) -> bytes:
        # The library's time-outs begin anew with each byte: one that drips is left at the deadline.
        download = _begin(partial(self._download, bucket, name, generation, deadline))
        wait([download], deadline.remaining())
        if not download.done():
            raise BudgetError(f"{describe(f'gs://{bucket}/{name}')} came too slowly")
        return download.result()

    def _download(
        self, bucket: str, name: str, generation: int | None, deadline: Deadline
    ) -> bytes:
        settings = self._settings
        download = Download(settings.max_image_bytes, deadline)
        timeout = deadline.cap(settings.connect_seconds), deadline.cap(settings.read_seconds)
        retry = DEFAULT_RETRY.with_timeout(deadline.cap(settings.retry_seconds))
        try:
            blob = self._connected().bucket(bucket).blob(name, generation=generation)
            blob.download_to_file(download, timeout=timeout, retry=retry)
        except FAILURES as error:
            raise _explain(describe(f"gs://{bucket}/{name}"), error) from error
        return download.getvalue()

    def _connected(self) -> storage.Client:
        with self._lock:
            if self._client is None:
                key = self._settings.credentials_base64
                credentials = make_credentials(decode_service_account(key)) if key else None
                self._client = storage.Client(project=None, credentials=credentials)
            return self._client


def _begin(work: Callable[[], bytes]) -> Future[bytes]:
    """Work in a thread that nobody waits for at the process's end, unlike an executor's."""
    future: Future[bytes] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised in the thread that asked
            future.set_exception(error)

    threading.Thread(target=run, name="gcs", daemon=True).start()
    return future


def _split_generation(name: str) -> tuple[str, int | None]:
    match = GENERATION.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, None)


def _explain(shown: str, error: Exception) -> ImageFetchError:
    """Say what happened to an object, in words that hold nothing of the credentials."""
    cause = error.cause if isinstance(error, RetryError) else error
    if isinstance(cause, DefaultCredentialsError):
        return ImageFetchError(f"{shown}: there are no Google credentials", f"set {VARIABLE}")
    if isinstance(cause, RefreshError):
        return ImageFetchError(f"{shown}: Google refused the service account", HINTS[401])
    status = _status(cause)
    if status is None:
        return ImageFetchError(f"{shown}: {type(cause).__name__}", UNREACHABLE_HINT)
    hint = SERVER_ERROR_HINT if status >= 500 else HINTS.get(status, "")
    return ImageFetchError(f"{shown}: HTTP {status}", hint)


def _status(error: Exception | None) -> int | None:
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return error.code if isinstance(error, GoogleAPICallError) else None
