"""Settings of the segmentation backend."""

from typing import Literal

import httpx
from pydantic import BaseModel, Field, field_validator

from ml_backend.embedding_store.settings import EmbeddingSettings
from ml_backend.models.checkpoints import SEGMENTATION_WEIGHTS
from ml_backend.models.hub import SEGMENTATION_HUB_MODELS, checked_name
from ml_backend.serving.settings import BackendSettings


class RegionSettings(BaseModel, frozen=True):
    """Settings of the regions to predict."""

    min_region_fraction: float = Field(
        0.0002, ge=0, le=1, description="Parts smaller than this fraction of the image are dropped"
    )
    regions: Literal["instances", "merged"] = Field(
        "instances", description="instances: a region for each object; merged: one for each label"
    )
    score_threshold: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Regions with a lower score are not shown; model_score_threshold on a control "
        "or a Label takes precedence",
    )


class SegmentationSettings(BackendSettings, EmbeddingSettings, RegionSettings):
    """Settings of the segmentation backend, in addition to those of both."""

    segmentation_model: str = Field(
        "auto",
        description="Model for opened tasks: auto (the best in MODELS_DIR, else embedded), "
        "embedded, segformer, segformer-fashion, fashn, sam3, hf:OWNER/NAME[@REVISION], or a "
        "folder; see docs/big-models.md",
    )
    learn: Literal["auto", "nightly", "off"] = Field(
        "auto",
        description="When to learn a project's labels: auto (after annotations), nightly or off",
    )
    learn_nice: int = Field(
        19,
        ge=0,
        le=19,
        description="Nice value of the learner, 0 to 19: 19 yields to all other processes; less "
        "where these never leave it a turn",
    )
    learned_in_memory: int = Field(
        8, ge=1, description="Learned models that a worker keeps in memory"
    )
    sam_prewarm_url: str | None = Field(
        None,
        description="Address where opened tasks are announced: http://sam:9090/prewarm",
    )

    @field_validator("segmentation_model")
    @classmethod
    def _is_known(cls, name: str) -> str:
        own = ("auto", "embedded", *(each.name for each in SEGMENTATION_WEIGHTS))
        return checked_name(name, own, SEGMENTATION_HUB_MODELS)

    @property
    def learns(self) -> bool:
        """Whether projects are learned, for which their annotations must be readable."""
        key = self.label_studio_api_key
        return self.learn != "off" and bool(self.label_studio_url and key)

    @field_validator("sam_prewarm_url")
    @classmethod
    def _is_whole(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = httpx.URL(url)
        except httpx.InvalidURL:
            parts = httpx.URL()
        if parts.scheme not in ("http", "https") or not parts.host or parts.userinfo:
            raise ValueError("write it as http://host:9090/prewarm; the login is BASIC_AUTH_USER's")
        return str(parts if parts.path.strip("/") else parts.copy_with(path="/prewarm"))
