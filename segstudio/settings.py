"""Settings of ``segstudio up`` and of the commands that work on projects, from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml_backend.serving.settings import HubSettings


class PlaceSettings(BaseSettings):
    """Ports of the parts and folder of the images, with Docker and without.

    Empty variables count as unset.
    """

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    label_studio_port: int = Field(8080, ge=1, le=65535, description="Port of Label Studio")
    segmentation_port: int = Field(
        7070, ge=1, le=65535, description="Port of the segmentation backend"
    )
    sam_port: int = Field(9090, ge=1, le=65535, description="Port of the sam backend")
    images: Path | None = Field(
        None, description="Folder with the images to label; unset: drawn samples"
    )


class UpSettings(PlaceSettings):
    """Folders of ``segstudio up``."""

    state_dir: Path = Field(
        Path(".segstudio"),
        description="Folder of Label Studio's database and files, logs and the login",
    )
    label_studio_venv: Path = Field(
        Path(".venv-label-studio"),
        description="Python environment that Label Studio is installed in",
    )


class ProjectSettings(UpSettings):
    """Label Studio and user of the commands, by variables that the backends read too.

    If neither address nor token is set, the one that ``segstudio up`` runs is used.
    """

    label_studio_url: str | None = Field(
        None, description="Address of Label Studio as reached from here"
    )
    label_studio_api_key: SecretStr | None = Field(
        None, description="Legacy token or personal access token of a Label Studio user"
    )
    learn: Literal["auto", "nightly", "off"] = Field(
        "auto", description="Whether the backend learns each project's own labels"
    )
    basic_auth_user: str | None = Field(None, description="User name that the backends require")
    basic_auth_pass: SecretStr | None = Field(
        None, description="Password that the backends require"
    )


class PullSettings(BaseSettings, HubSettings):
    """Access of the commands to the Hugging Face hub."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore"
    )
