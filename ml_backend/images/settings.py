"""Settings of the image loader, part of the settings of every program that loads images."""

import tempfile
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from PIL import Image
from pydantic import (
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from ml_backend.errors import SettingsError
from ml_backend.http_clients import BlankIsNone, HttpSettings
from ml_backend.images.addresses import parse_host
from ml_backend.images.credentials import (
    bucket_keys,
    decode_service_account,
    variable_of_bucket,
)

PILLOW_MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)
"""Maximum number of pixels that Pillow opens."""

MIB = 1 << 20


class ImageSettings(HttpSettings):
    """Allowed image sources, and limits on bytes, pixels and time.

    Raises:
        SettingsError: A value is invalid; names the variable, never the secret.
        CredentialsError: ``google_application_credentials_base64`` is not a service-account key;
            names the step that failed.
    """

    connect_seconds: ClassVar[float] = 5
    read_seconds: ClassVar[float] = 20
    retry_seconds: ClassVar[float] = 10

    label_studio_url: Annotated[str | None, BlankIsNone] = Field(
        None,
        description="Address of Label Studio as the backends reach it; needed for uploaded images",
    )
    label_studio_host: Annotated[str | None, BlankIsNone] = Field(
        None, description="Address of Label Studio for browsers, if tasks contain it: https://…"
    )
    label_studio_api_key: Annotated[SecretStr | None, BlankIsNone] = Field(
        None, description="Legacy token or personal access token of a Label Studio user"
    )
    google_application_credentials_base64: Annotated[SecretStr | None, BlankIsNone] = Field(
        None,
        description="Service account for gs:// images, from `segstudio credentials encode`; unset: "
        "Google's default credentials, else Label Studio. With the suffix _MY_BUCKET: for "
        "gs://my-bucket only",
    )
    gcs_billing_project: Annotated[str | None, BlankIsNone] = Field(
        None, description="Google Cloud project that is billed for requester-pays buckets"
    )
    allowed_image_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts with private addresses that may serve images, separated by commas",
    )
    local_files_document_root: Annotated[Path | None, BlankIsNone] = Field(
        None, description="Folder of Label Studio's local files, if the backends can read it"
    )
    image_cache_dir: Path = Field(
        Path(tempfile.gettempdir()) / "segstudio-images", description="Folder of the image cache"
    )
    image_cache_mb: float = Field(
        1024, ge=0, allow_inf_nan=False, description="Size of the image cache, in MiB; 0: no cache"
    )
    image_cache_seconds: float = Field(
        600, ge=0, description="Seconds until a cached image that may have changed is fetched again"
    )
    image_seconds: float = Field(60, gt=0, description="Seconds for fetching one image")
    max_image_mb: float = Field(
        50, gt=0, allow_inf_nan=False, description="Largest image file, in MiB"
    )
    max_image_megapixels: float = Field(
        100, gt=0, allow_inf_nan=False, description="Largest image, in megapixels"
    )

    _bucket_keys: dict[str, SecretStr] = PrivateAttr(default_factory=bucket_keys)

    @field_validator("allowed_image_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(host.strip() for host in value.split(",") if host.strip())

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.label_studio_url is not None:
            _check_url("LABEL_STUDIO_URL", self.label_studio_url)
        host = self.label_studio_host
        if host is not None and not host.startswith("/"):
            _check_url("LABEL_STUDIO_HOST", host)
        if self.label_studio_api_key is not None:
            _check_api_key(self.label_studio_api_key.get_secret_value())
        if self.google_application_credentials_base64 is not None:
            decode_service_account(self.google_application_credentials_base64)
        if self.max_image_pixels > PILLOW_MAX_PIXELS:
            most = PILLOW_MAX_PIXELS // 1_000_000
            raise SettingsError(f"MAX_IMAGE_MEGAPIXELS exceeds the maximum of {most}")
        for key in self._bucket_keys.values():
            decode_service_account(key)
        for entry in self.allowed_image_hosts:
            parse_host(entry)
        return self

    def google_key(self, bucket: str) -> SecretStr | None:
        """Return the service account of a bucket: its own, else the shared one; None without."""
        own = self._bucket_keys.get(variable_of_bucket(bucket))
        return own or self.google_application_credentials_base64

    @property
    def image_cache_bytes(self) -> int:
        """Cache size in bytes."""
        return int(self.image_cache_mb * MIB)

    @property
    def max_image_bytes(self) -> int:
        """Maximum size of an image file in bytes."""
        return int(self.max_image_mb * MIB)

    @property
    def max_image_pixels(self) -> int:
        """Maximum number of pixels of an image."""
        return int(self.max_image_megapixels * 1_000_000)


def _check_url(variable: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(f"{variable} is not an http(s) address", "write it as http://host:8080")
    if "@" in parts.netloc:
        raise SettingsError(
            f"{variable} holds a user name", "give the token in LABEL_STUDIO_API_KEY instead"
        )


def _check_api_key(key: str) -> None:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            "LABEL_STUDIO_API_KEY contains spaces, line breaks or characters that no token has",
            "copy it again from Account & Settings in Label Studio",
        )
