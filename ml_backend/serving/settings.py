"""Settings of both backends: one class, read from the environment, else from the file .env."""

import os
from pathlib import Path
from typing import Literal, TypeVar

from dotenv import dotenv_values
from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml_backend.errors import SettingsError
from ml_backend.images.settings import MIB, ImageSettings
from ml_backend.serving.cpu_quota import available_cpus


class HubSettings(BaseModel):
    """Settings for access to the Hugging Face hub."""

    hf_token: SecretStr | None = Field(
        None, description="Token for gated models of the Hugging Face hub"
    )
    hf_endpoint: str = Field(
        "https://huggingface.co", description="Address of the Hugging Face hub or of a mirror"
    )


class BackendSettings(BaseSettings, ImageSettings, HubSettings):
    """Settings of both backends. Empty variables count as unset."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container")
    port: int = Field(
        7070,
        ge=1,
        le=65535,
        description="Port to listen on; 9090 for the sam backend. `make up` sets it",
    )
    workers: int = Field(1, ge=1, description="Number of worker processes; each loads the model")
    threads: int = Field(
        0, ge=0, description="Compute threads of a worker, at most; 0: its share of the CPU quota"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Lowest level that is logged"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Device that the model runs on"
    )
    models_dir: Path = Field(Path("models"), description="Folder of weights and learned models")
    model_fallback: bool = Field(
        False,
        description="Serve the embedded model if the named one is not available; "
        "True in docker compose",
    )

    secrets_dir: Path | None = Field(
        None, description="Folder of secrets: files with the names of variables in lower case"
    )
    basic_auth_user: str | None = Field(
        None, description="User name that the backends require (basic auth)"
    )
    basic_auth_pass: SecretStr | None = Field(
        None, description="Password that the backends require"
    )

    max_request_mb: int = Field(256, gt=0, description="Largest request body, in MiB")
    max_tasks: int = Field(
        1000, gt=0, description="Tasks answered in a call; the others get nothing"
    )
    max_queue: int = Field(32, gt=0, description="Predictions running or waiting; beyond, 503")
    predict_seconds: float = Field(
        90,
        gt=0,
        description="Seconds for a call; tasks after that get nothing. Label Studio waits 100 s",
    )

    @model_validator(mode="after")
    def _auth_is_whole(self) -> "BackendSettings":
        if bool(self.basic_auth_user) != bool(self.basic_auth_pass):
            raise ValueError("BASIC_AUTH_USER and BASIC_AUTH_PASS go together")
        return self

    @property
    def login(self) -> tuple[str, str] | None:
        """User name and password of basic auth; None without."""
        if not (self.basic_auth_user and self.basic_auth_pass):
            return None
        return self.basic_auth_user, self.basic_auth_pass.get_secret_value()

    @property
    def compute_threads(self) -> int:
        """Compute threads: ``threads``, limited to each worker's share of the CPU quota."""
        most = max(available_cpus() // self.workers, 1)
        return min(self.threads, most) if self.threads else most

    @property
    def max_request_bytes(self) -> int:
        """Maximum size of a request body in bytes."""
        return self.max_request_mb * MIB


def _secrets_dir() -> str | None:
    """Return the folder of secrets, which pydantic needs before it reads any other setting."""
    folder = os.environ.get("SECRETS_DIR") or dotenv_values(".env").get("SECRETS_DIR") or None
    if folder is not None and not Path(folder).is_dir():
        raise SettingsError(f"SECRETS_DIR={folder} is not a readable folder")
    return folder


Settings = TypeVar("Settings", bound=BaseSettings)


def read_settings(kind: type[Settings]) -> Settings:
    """Read settings from the environment, else ``.env``, else the files in ``SECRETS_DIR``.

    Raises:
        SettingsError: A value is invalid; names each variable and the problem, never the value.
    """
    try:
        return kind(_secrets_dir=_secrets_dir())
    except ValidationError as error:
        problems = "; ".join(
            ": ".join(filter(None, ["_".join(map(str, e["loc"])).upper(), e["msg"]]))
            for e in error.errors()
        )
        raise SettingsError(f"wrong settings: {problems}", "see .env.example") from None
