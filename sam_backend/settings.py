"""Settings of the interactive backend."""

from pydantic import Field, field_validator

from ml_backend.embedding_store.settings import EmbeddingSettings
from ml_backend.models.checkpoints import SAM2_WEIGHTS, SAM_WEIGHTS
from ml_backend.models.hub import SAM_HUB_MODELS, checked_name
from ml_backend.serving.settings import BackendSettings


class SamSettings(BackendSettings, EmbeddingSettings):
    """Settings of the interactive backend, in addition to those of both."""

    port: int = Field(9090, ge=1, le=65535, description="Port to listen on")
    sam_model: str = Field(
        "auto",
        description="Model for boxes and clicks: auto (the best in MODELS_DIR, else embedded), "
        "embedded, sam2.1_tiny and others, hf:OWNER/NAME[@REVISION], or a folder; see "
        "docs/big-models.md",
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
