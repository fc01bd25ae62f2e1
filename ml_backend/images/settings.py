"""What the image loader can be told; made by each program from its own settings."""

from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from PIL import Image
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from ml_backend.errors import SettingsError
from ml_backend.images.addresses import parse_host
from ml_backend.images.credentials import decode_service_account

PILLOW_MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)
"""Pillow itself refuses to open anything larger."""


def _none_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


BlankIsNone = BeforeValidator(_none_if_blank)


class ImageSettings(BaseModel):
    """Where images may come from, and how much of everything they may take.

    Raises:
        SettingsError: A value cannot work; names the variable, never the secret.
        CredentialsError: ``credentials_base64`` is no service-account key; names the step.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    label_studio_url: Annotated[str | None, BlankIsNone] = None
    label_studio_api_key: Annotated[SecretStr | None, BlankIsNone] = None
    credentials_base64: Annotated[SecretStr | None, BlankIsNone] = None
    allowed_image_hosts: tuple[str, ...] = ()
    local_files_document_root: Annotated[Path | None, BlankIsNone] = None

    cache_dir: Path
    cache_bytes: int = Field(2_000_000_000, ge=0)
    mutable_cache_seconds: float = Field(600, ge=0)

    max_image_bytes: int = Field(50_000_000, gt=0)
    max_image_pixels: int = Field(100_000_000, gt=0)

    connect_seconds: float = Field(5, gt=0)
    read_seconds: float = Field(20, gt=0)
    retry_seconds: float = Field(10, gt=0)
    total_seconds: float = Field(60, gt=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.label_studio_url is not None:
            _check_url(self.label_studio_url)
        if self.label_studio_api_key is not None:
            _check_api_key(self.label_studio_api_key.get_secret_value())
        if self.credentials_base64 is not None:
            decode_service_account(self.credentials_base64)
        if self.max_image_pixels > PILLOW_MAX_PIXELS:
            most = PILLOW_MAX_PIXELS // 1_000_000
            raise SettingsError(f"MAX_IMAGE_MEGAPIXELS is more than {most}, the most that works")
        for entry in self.allowed_image_hosts:
            parse_host(entry)
        return self


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(
            "LABEL_STUDIO_URL is not an http(s) address", "write it as http://host:8080"
        )
    if "@" in parts.netloc:
        raise SettingsError(
            "LABEL_STUDIO_URL holds a user name", "give the token in LABEL_STUDIO_API_KEY instead"
        )


def _check_api_key(key: str) -> None:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            "LABEL_STUDIO_API_KEY holds spaces, line breaks or characters that no token has",
            "copy it again from Account & Settings in Label Studio",
        )
