"""Settings of ``segstudio up`` and ``segstudio backends``, read from the environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class UpSettings(BaseSettings):
    """Where the parts listen, where they keep things, what is to be labeled.

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
        None, description="Folder with the photographs to label; unset: drawn samples"
    )
    state_dir: Path = Field(
        Path(".segstudio"), description="Label Studio's database and files, logs, the login"
    )
    label_studio_venv: Path = Field(
        Path(".venv-label-studio"), description="Environment that label-studio is installed in"
    )
