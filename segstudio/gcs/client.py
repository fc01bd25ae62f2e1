"""Google Cloud Storage client of the commands: connection, objects, explained errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.api_core.exceptions import PreconditionFailed
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import storage  # type: ignore[import-untyped]
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml_backend.errors import SettingsError
from ml_backend.http_sessions import prepare_session
from ml_backend.images.credentials import (
    FULL_CONTROL,
    NO_CREDENTIALS_HINT,
    decode_service_account,
    make_credentials,
)
from ml_backend.images.gcs import GcsAddress
from segstudio.gcs.errors import FAILURES, explain
from segstudio.gcs.iam import Member
from segstudio.gcs.objects import BucketError, ObjectMeta, PreconditionFailedError

TIMEOUT = (5, 60)
"""Time limits in seconds to connect and to wait for bytes, for each try."""

_LISTED = "items(name,generation,size,md5Hash,crc32c),nextPageToken"


class GoogleSettings(BaseSettings):
    """Service account that the commands use."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    google_application_credentials_base64: SecretStr | None = Field(
        None,
        description="Service account, from `segstudio credentials encode`; unset: Google's default",
    )
    gcs_billing_project: str | None = Field(
        None, description="Google Cloud project that is billed for requester-pays buckets"
    )


def parse_address(text: str) -> GcsAddress:
    """Parse ``gs://bucket/folder`` or ``bucket/folder``; the folder may be missing.

    Raises:
        SettingsError: The text names no bucket.
    """
    try:
        return GcsAddress.parse(text if text.startswith("gs://") else f"gs://{text}")
    except ValueError:
        raise SettingsError(f"{text!r} is not the name of a bucket", "write gs://bucket") from None


def bucket_name(text: str) -> str:
    """Return the name in ``gs://name`` or ``name``.

    Raises:
        SettingsError: The text names no bucket, or a folder in one.
    """
    address = parse_address(text)
    if folder := address.name.strip("/"):
        raise SettingsError(
            f"{text} names a folder in a bucket",
            f"give gs://{address.bucket} only; for uploads, put the folder into "
            f'--name "{folder}/…"',
        )
    return address.bucket


def service_account(settings: GoogleSettings) -> dict[str, str] | None:
    """Return the fields of the service account's key; None without a key.

    Raises:
        CredentialsError: The key is invalid; names the step that failed.
    """
    line = settings.google_application_credentials_base64
    return decode_service_account(line) if line is not None else None


@dataclass(frozen=True)
class GcsConnection:
    """Connection to Google Cloud Storage.

    Attributes:
        client: Client of google-cloud-storage, which honors ``STORAGE_EMULATOR_HOST``.
        member: Account that the client uses.
        project: Google Cloud project for new buckets; None if unknown.
        retry: Retry policy of google-cloud-storage, limited in time.
        billed: Project billed for requests; None: the owner of the bucket.
    """

    client: storage.Client
    member: Member
    project: str | None
    retry: Any
    billed: str | None = None

    def bucket(self, name: str) -> storage.Bucket:
        """Return a bucket, without a request."""
        return self.client.bucket(name, user_project=self.billed)

    @property
    def options(self) -> dict[str, Any]:
        """Time-outs and retries of each request."""
        return {"timeout": TIMEOUT, "retry": self.retry}

    @contextmanager
    def explained(self, bucket: str) -> Iterator[None]:
        """Convert exceptions of google-cloud-storage to BucketError."""
        try:
            yield
        except FAILURES as error:
            raise explain(error, bucket, self.member) from error


def connect(
    settings: GoogleSettings,
    *,
    project: str | None = None,
    retry_seconds: float = 60,
    connections: int = 10,
) -> GcsConnection:
    """Create a connection, without a request to Google.

    Args:
        settings: Settings with the service account; unset: application default credentials.
        project: Google Cloud project for new buckets; None: the service account's.
        retry_seconds: Time limit of all tries of a request, in seconds.
        connections: Maximum number of open connections.

    Raises:
        CredentialsError: The key is invalid; names the step that failed.
        BucketError: There are no credentials.
    """
    credentials = None
    if fields := service_account(settings):
        credentials = make_credentials(fields, FULL_CONTROL)
        project = project or fields.get("project_id")
    try:
        client = storage.Client(project=project, credentials=credentials)
    except DefaultCredentialsError:
        raise BucketError("there are no Google credentials", NO_CREDENTIALS_HINT) from None
    prepare_session(client._http, connections)
    member = Member(getattr(client._credentials, "service_account_email", ""))
    retry = DEFAULT_RETRY.with_timeout(retry_seconds)
    return GcsConnection(client, member, project, retry, settings.gcs_billing_project)


class GoogleObjects:
    """Objects of one bucket; see ``segstudio.gcs.objects.Objects``."""

    def __init__(self, cloud: GcsConnection, bucket: str) -> None:
        self._cloud = cloud
        self._name = bucket
        self._bucket = cloud.bucket(bucket)

    def list(self, prefix: str) -> Iterator[tuple[str, ObjectMeta]]:
        """See ``Objects``."""
        with self._cloud.explained(self._name):
            for blob in self._bucket.list_blobs(
                prefix=prefix or None, fields=_LISTED, **self._cloud.options
            ):
                yield blob.name, _meta(blob)

    def get(self, name: str) -> ObjectMeta | None:
        """See ``Objects``."""
        with self._cloud.explained(self._name):
            blob = self._bucket.get_blob(name, **self._cloud.options)
            return _meta(blob) if blob else None

    def put(self, name: str, path: Path, replaces: int) -> None:
        """See ``Objects``."""
        with self._cloud.explained(self._name):
            try:
                self._bucket.blob(name).upload_from_filename(
                    str(path), if_generation_match=replaces, **self._cloud.options
                )
            except PreconditionFailed:
                raise PreconditionFailedError(
                    f"gs://{self._name}/{name} was changed by another program"
                ) from None

    def read(self, name: str) -> bytes | None:
        """Return the content of an object; None if it does not exist.

        Raises:
            BucketError: The bucket is unusable.
        """
        with self._cloud.explained(self._name):
            blob = self._bucket.get_blob(name, **self._cloud.options)
            return bytes(blob.download_as_bytes(**self._cloud.options)) if blob else None

    def write(self, name: str, content: bytes) -> None:
        """Create or replace an object.

        Raises:
            BucketError: The bucket is unusable.
        """
        with self._cloud.explained(self._name):
            self._bucket.blob(name).upload_from_string(content, **self._cloud.options)


def _meta(blob: storage.Blob) -> ObjectMeta:
    return ObjectMeta(int(blob.generation), int(blob.size), blob.md5_hash, blob.crc32c)
