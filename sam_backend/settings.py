"""Settings of the interactive backend."""

from typing import Literal

from pydantic import Field

from ml_backend.settings import BackendSettings


class SamSettings(BackendSettings):
    """What the interactive backend can be told, beside what both can."""

    port: int = Field(9090, ge=1, le=65535, description="Port to listen on")
    sam_model: Literal[
        "auto",
        "embedded",
        "vit_b",
        "vit_l",
        "vit_h",
        "sam2.1_tiny",
        "sam2.1_small",
        "sam2.1_base_plus",
        "sam2.1_large",
    ] = Field(
        "auto",
        description="auto (the best in MODELS_DIR, else embedded), embedded, or a big one",
    )
    embedding_cache_mb: int = Field(
        256, ge=0, description="Memory of a process for prepared images, in MiB"
    )

    @property
    def embedding_cache_bytes(self) -> int:
        """``embedding_cache_mb`` in bytes."""
        return self.embedding_cache_mb << 20
