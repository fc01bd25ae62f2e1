"""Read objects of Google Cloud Storage with google-cloud-storage.

``gcs`` imports this module on the first object: the library takes 20 MB of memory, which processes
without buckets save.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.cloud import storage  # type: ignore[import-untyped]
from google.cloud.storage.exceptions import (  # type: ignore[import-untyped]
    DataCorruption,
    InvalidResponse,
)
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]
from pydantic import SecretStr

from ml_backend.deadline import Deadline
from ml_backend.errors import DeadlineExceededError, ImageFetchError
from ml_backend.http_sessions import prepare_session
from ml_backend.images.base import Download
from ml_backend.images.credentials import (
    NO_CREDENTIALS_HINT,
    VARIABLE,
    decode_service_account,
    make_credentials,
)
from ml_backend.images.gcs import NoAccessError, NoCredentialsError
from ml_backend.images.redact import redact
from ml_backend.images.settings import ImageSettings

_NOT_ACCEPTED = f"the credentials are not accepted; check {VARIABLE}"
_HINTS = {
    400: "if the bucket's requester pays, set GCS_BILLING_PROJECT to the project that is billed",
    401: _NOT_ACCEPTED,
    403: "give the service account the role Storage Object Viewer on the bucket",
    404: "check the names of bucket and object in the task",
    429: "the bucket is asked too often; try again later",
}
STORAGE_ERRORS = (
    GoogleAPICallError,
    RetryError,
    InvalidResponse,
    DataCorruption,
    GoogleAuthError,
)
"""Exceptions of google-cloud-storage, including those of its retries."""

FAILURES = (*STORAGE_ERRORS, OSError, ValueError)
"""Exceptions of a download. Network errors are OSErrors; credentials that are not for
googleapis.com raise ValueError."""

_FOR_TRIES = 0.8
"""Fraction of the remaining time after which no retry begins, so that the error reported is that of
the last try, not a time-out."""


class Objects:
    """Reader of objects with the given service account, else application default credentials.

    Clients are created on first use, so missing credentials are reported for each object.
    """

    def __init__(self, settings: ImageSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._clients: dict[SecretStr | None, storage.Client] = {}

    def read(self, bucket: str, name: str, generation: int | None, deadline: Deadline) -> bytes:
        """Read an object, in the given generation or the current one.

        Raises:
            DeadlineExceededError: The object did not arrive by the deadline.
            NoAccessError: The credentials have no access to the bucket, or there are none.
            ImageFetchError: The object does not exist, or the request failed.
        """
        # The library's time-outs restart with each byte, so a slow download needs our deadline.
        download = _run_in_daemon_thread(
            partial(self._download, bucket, name, generation, deadline)
        )
        wait([download], deadline.remaining())
        if not download.done():
            raise DeadlineExceededError(f"{redact(f'gs://{bucket}/{name}')} came too slowly")
        return download.result()

    def _download(
        self, bucket: str, name: str, generation: int | None, deadline: Deadline
    ) -> bytes:
        settings = self._settings
        download = Download(settings.max_image_bytes, deadline)
        timeout = deadline.cap(settings.connect_seconds), deadline.cap(settings.read_seconds)
        tries = min(settings.retry_seconds, _FOR_TRIES * deadline.remaining())
        retry = DEFAULT_RETRY.with_timeout(tries)
        try:
            billed = settings.gcs_billing_project
            place = self._connected(bucket).bucket(bucket, user_project=billed)
            blob = place.blob(name, generation=generation)
            blob.download_to_file(download, timeout=timeout, retry=retry)
        except FAILURES as error:
            failure = explain_failure(error)
            shown = redact(f"gs://{bucket}/{name}")
            kind = ImageFetchError
            if failure.no_credentials:
                kind = NoCredentialsError
            elif failure.status in {401, 403}:
                kind = NoAccessError
            raise kind(f"{shown}: {failure.message}", failure.hint) from error
        return download.getvalue()

    def _connected(self, bucket: str) -> storage.Client:
        key = self._settings.google_key(bucket)
        with self._lock:
            if key not in self._clients:
                credentials = make_credentials(decode_service_account(key)) if key else None
                client = storage.Client(project=None, credentials=credentials)
                prepare_session(client._http)
                self._clients[key] = client
            return self._clients[key]


def _run_in_daemon_thread(work: Callable[[], bytes]) -> Future[bytes]:
    """Run work in a daemon thread, which unlike an executor's does not block process exit."""
    future: Future[bytes] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - re-raised in the calling thread
            future.set_exception(error)

    threading.Thread(target=run, name="gcs", daemon=True).start()
    return future


@dataclass(frozen=True)
class GcsFailure:
    """Why a request to Google Cloud Storage failed; contains no credentials.

    Attributes:
        message: Human-readable description of the failure.
        hint: Suggested fix.
        cause: Exception of the last try.
        status: HTTP status of the last response; None without a response.
    """

    message: str
    hint: str
    cause: Exception | None
    status: int | None = None

    @property
    def no_credentials(self) -> bool:
        """Whether the request had no credentials, or credentials that Google rejected."""
        return isinstance(self.cause, DefaultCredentialsError | RefreshError)


def explain_failure(error: Exception) -> GcsFailure:
    """Explain an exception of google-cloud-storage."""
    cause = error.cause if isinstance(error, RetryError) else error
    if isinstance(cause, DefaultCredentialsError):
        return GcsFailure("there are no Google credentials", NO_CREDENTIALS_HINT, cause)
    if isinstance(cause, RefreshError):
        return GcsFailure("Google refused the service account", _NOT_ACCEPTED, cause)
    status = _status_of(cause)
    if status is not None:
        hint = "Google Cloud Storage has a problem; try again later" if status >= 500 else ""
        return GcsFailure(f"HTTP {status}", hint or _HINTS.get(status, ""), cause, status)
    if isinstance(cause, DataCorruption):
        return GcsFailure("the data arrived damaged (DataCorruption)", "try again", cause)
    return GcsFailure(
        f"no answer from Google Cloud Storage ({type(cause).__name__})",
        "check that storage.googleapis.com is reachable from here, or try again",
        cause,
    )


def _status_of(error: Exception | None) -> int | None:
    if isinstance(error, InvalidResponse):
        return int(error.response.status_code)
    return error.code if isinstance(error, GoogleAPICallError) else None
