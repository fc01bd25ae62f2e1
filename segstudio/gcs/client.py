"""Google Cloud Storage as the commands use it: a connection, objects, and errors in words."""

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
"""Seconds to connect and to wait for bytes, of each try."""

_LISTED = "items(name,generation,size,md5Hash,crc32c),nextPageToken"


class GoogleSettings(BaseSettings):
    """Whose service account the commands act as."""

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
        SettingsError: It names no bucket.
    """
    try:
        return GcsAddress.parse(text if text.startswith("gs://") else f"gs://{text}")
    except ValueError:
        raise SettingsError(f"{text!r} is not the name of a bucket", "write gs://bucket") from None


def bucket_name(text: str) -> str:
    """Return the name in ``gs://name`` or ``name``.

    Raises:
        SettingsError: It names no bucket, or a folder in one.
    """
    address = parse_address(text)
    if folder := address.name.strip("/"):
        raise SettingsError(
            f"{text} names a folder in a bucket",
            f"give gs://{address.bucket} alone; for uploads, put the folder into "
            f'--name "{folder}/…"',
        )
    return address.bucket


def service_account(settings: GoogleSettings) -> dict[str, str] | None:
    """The fields of the service account's key; None where none is set.

    Raises:
        CredentialsError: The key cannot be used; names the step.
    """
    line = settings.google_application_credentials_base64
    return decode_service_account(line) if line is not None else None


@dataclass(frozen=True)
class GcsConnection:
    """A connection to Google Cloud Storage.

    Attributes:
        client: Of google-cloud-storage; it honours ``STORAGE_EMULATOR_HOST``.
        member: Who the client acts as.
        project: That new buckets are made in; None where nothing says so.
        retry: google-cloud-storage's own policy, bounded in time.
        billed: Project that pays for requests; None: the owner of the bucket.
    """

    client: storage.Client
    member: Member
    project: str | None
    retry: Any
    billed: str | None = None

    def bucket(self, name: str) -> storage.Bucket:
        """Return a bucket; nothing is asked yet."""
        return self.client.bucket(name, user_project=self.billed)

    @property
    def options(self) -> dict[str, Any]:
        """Time-outs and retries of each request."""
        return {"timeout": TIMEOUT, "retry": self.retry}

    @contextmanager
    def explained(self, bucket: str) -> Iterator[None]:
        """Turn what google-cloud-storage raises into BucketError."""
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
    """Make a connection, without asking Google anything yet.

    Args:
        settings: With the service account; where unset, application default credentials.
        project: For new buckets; None: the service account's.
        retry_seconds: Bound of all tries of one request together.
        connections: That are kept open at most.

    Raises:
        CredentialsError: The key cannot be used; names the step.
        BucketError: There are no credentials at all.
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
    """The objects of one bucket; see ``segstudio.gcs.objects.Objects``."""

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
                    f"gs://{self._name}/{name} has changed meanwhile"
                ) from None

    def read(self, name: str) -> bytes | None:
        """Return an object's content, if it exists.

        Raises:
            BucketError: The bucket cannot be used.
        """
        with self._cloud.explained(self._name):
            blob = self._bucket.get_blob(name, **self._cloud.options)
            return bytes(blob.download_as_bytes(**self._cloud.options)) if blob else None

    def write(self, name: str, content: bytes) -> None:
        """Create or replace an object.

        Raises:
            BucketError: The bucket cannot be used.
        """
        with self._cloud.explained(self._name):
            self._bucket.blob(name).upload_from_string(content, **self._cloud.options)


def _meta(blob: storage.Blob) -> ObjectMeta:
    return ObjectMeta(int(blob.generation), int(blob.size), blob.md5_hash, blob.crc32c)
