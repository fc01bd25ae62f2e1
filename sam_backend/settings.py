"""Settings of the interactive backend."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from redis import ConnectionPool, RedisError

from ml_backend.models.checkpoints import SAM2_WEIGHTS, SAM_WEIGHTS
from ml_backend.models.hub import SAM_HUB_MODELS, checked_name
from ml_backend.serving.settings import BackendSettings

_NO_REDIS = (
    "it must be like redis://:password@host:6379/0, or begin with rediss:// or unix://; "
    "/ ? # @ : and % in a password are written %2F %3F %23 %40 %3A %25"
)


class SamSettings(BackendSettings):
    """Settings of the interactive backend, in addition to those of both."""

    port: int = Field(9090, ge=1, le=65535, description="Port to listen on")
    sam_model: str = Field(
        "auto",
        description="Model for boxes and clicks: auto (the best in MODELS_DIR, else embedded), "
        "embedded, sam2.1_tiny and others, hf:OWNER/NAME[@REVISION], or a folder; see "
        "docs/big-models.md",
    )
    embedding_cache_mb: int = Field(
        256, ge=0, description="Memory of a worker for embeddings, in MiB"
    )
    embedding_disk_mb: int = Field(
        2048, ge=0, description="Disk space for embeddings, in MiB; 0: none"
    )
    embedding_disk_dir: Path | None = Field(
        None, description="Folder for embeddings; unset: embeddings in IMAGE_CACHE_DIR"
    )
    redis_url: SecretStr | None = Field(
        None, description="Redis through which sam backends share embeddings: redis://host:6379"
    )
    prewarm_ahead: int = Field(
        5,
        ge=0,
        le=50,
        description="Number of unlabeled tasks after an opened one to prepare; 0: none",
    )

    @field_validator("sam_model")
    @classmethod
    def _is_known(cls, name: str) -> str:
        own = (each.name for each in (*SAM2_WEIGHTS, *SAM_WEIGHTS))
        return checked_name(name, ("auto", "embedded", *own), SAM_HUB_MODELS)

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            try:
                ConnectionPool.from_url(url.get_secret_value()).make_connection()  # connects later
            except (ValueError, TypeError, RedisError):  # their texts quote parts of the password
                raise ValueError(_NO_REDIS) from None
        return url

    @property
    def embedding_folder(self) -> Path:
        """Folder of embeddings on disk."""
        return self.embedding_disk_dir or self.image_cache_dir / "embeddings"

    @property
    def embedding_cache_bytes(self) -> int:
        """Memory for embeddings in bytes."""
        return self.embedding_cache_mb << 20
