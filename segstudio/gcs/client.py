"""Google Cloud Storage as the commands use it: a connection, objects, and errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from google.api_core.exceptions import PreconditionFailed
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import storage  # type: ignore[import-untyped]
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]
from google.oauth2.service_account import Credentials
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from requests.adapters import HTTPAdapter

from ml_backend.errors import SettingsError
from ml_backend.images.credentials import decode_service_account
from ml_backend.images.gcs import BUCKET
from segstudio.gcs.errors import FAILURES, NO_CREDENTIALS, explain
from segstudio.gcs.iam import Member
from segstudio.gcs.objects import BucketError, ObjectMeta, PreconditionFailedError

TIMEOUT = (5, 60)
"""Seconds to connect and to wait for bytes, of each try."""

_FULL_CONTROL = "https://www.googleapis.com/auth/devstorage.full_control"
_LISTED = "items(name,generation,size,md5Hash,crc32c),nextPageToken"


class GoogleSettings(BaseSettings):
    """Whose service account the commands act as."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    google_application_credentials_base64: SecretStr | None = Field(
        None, description="Service-account JSON in base64 for gs:// images; unset: the default"
    )


def bucket_name(text: str) -> str:
    """The name in ``gs://name`` or ``name``.

    Raises:
        SettingsError: It is no bucket's name, or there is a folder behind it.
    """
    name = text.removeprefix("gs://").removesuffix("/")
    if "/" in name:
        bucket, _, folder = name.partition("/")
        raise SettingsError(
            f"{text} names a folder in a bucket",
            f'give gs://{bucket} alone; for uploads, put the folder into --name "{folder}/…"',
        )
    if not BUCKET.fullmatch(name):
        raise SettingsError(f"{text!r} is not the name of a bucket", "write gs://bucket")
    return name


def bucket_and_folder(text: str) -> tuple[str, str]:
    """The bucket and the folder, which may be empty, in ``gs://bucket/folder``.

    Raises:
        SettingsError: It names no bucket.
    """
    name, _, folder = text.removeprefix("gs://").partition("/")
    return bucket_name(name), folder.strip("/")


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
    """

    client: storage.Client
    member: Member
    project: str | None
    retry: Any

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
        credentials = make_credentials(fields)
        project = project or fields.get("project_id")
    try:
        client = storage.Client(project=project, credentials=credentials)
    except DefaultCredentialsError:
        raise BucketError("there are no Google credentials", NO_CREDENTIALS) from None
    for scheme in ("http://", "https://"):
        client._http.mount(scheme, HTTPAdapter(pool_maxsize=connections))
    member = Member(getattr(client._credentials, "service_account_email", ""))
    return GcsConnection(client, member, project, DEFAULT_RETRY.with_timeout(retry_seconds))


def make_credentials(fields: dict[str, str]) -> Credentials:
    """Credentials that may do in Google Cloud Storage all that the service account may."""
    make = Credentials.from_service_account_info
    return cast(Credentials, make(fields, scopes=[_FULL_CONTROL]))  # type: ignore[no-untyped-call]


class GoogleObjects:
    """The objects of one bucket; see ``segstudio.gcs.objects.Objects``."""

    def __init__(self, cloud: GcsConnection, bucket: str) -> None:
        self._cloud = cloud
        self._name = bucket
        self._bucket = cloud.client.bucket(bucket)

    def list(self, prefix: str) -> Iterator[tuple[str, ObjectMeta]]:
        """See ``Objects``."""
        with self._cloud.explained(self._name):
            for blob in self._cloud.client.list_blobs(
                self._bucket,
                prefix=prefix or None,
                fields=_LISTED,
                timeout=TIMEOUT,
                retry=self._cloud.retry,
            ):
                yield blob.name, _stored(blob)

    def get(self, name: str) -> ObjectMeta | None:
        """See ``Objects``."""
        with self._cloud.explained(self._name):
            blob = self._bucket.get_blob(name, timeout=TIMEOUT, retry=self._cloud.retry)
            return _stored(blob) if blob else None

    def put(self, name: str, path: Path, replaces: int) -> None:
        """See ``Objects``."""
        with self._cloud.explained(self._name):
            try:
                self._bucket.blob(name).upload_from_filename(
                    str(path),
                    if_generation_match=replaces,
                    timeout=TIMEOUT,
                    retry=self._cloud.retry,
                )
            except PreconditionFailed:
                raise PreconditionFailedError(
                    f"gs://{self._name}/{name} has changed meanwhile"
                ) from None


def _stored(blob: storage.Blob) -> ObjectMeta:
    return ObjectMeta(int(blob.generation), int(blob.size), blob.md5_hash, blob.crc32c)
