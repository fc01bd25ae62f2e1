"""Settings of the embedding store, shared by both backends."""

from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from redis import ConnectionPool, RedisError

from ml_backend.images.settings import MIB, ImageSettings

_NO_REDIS = (
    "it must be like redis://:password@host:6379/0, or begin with rediss:// or unix://; "
    "/ ? # @ : and % in a password are written %2F %3F %23 %40 %3A %25"
)


class EmbeddingSettings(ImageSettings):
    """Sizes and places of the embedding store's tiers."""

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
        None, description="Redis through which backends share embeddings: redis://host:6379"
    )

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
        return self.embedding_cache_mb * MIB

    @property
    def embedding_disk_bytes(self) -> int:
        """Disk space for embeddings in bytes."""
        return self.embedding_disk_mb * MIB
