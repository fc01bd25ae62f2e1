"""Settings of the segmentation backend."""

from typing import Literal

from pydantic import Field

from ml_backend.settings import BackendSettings


class SegmentationSettings(BackendSettings):
    """What the segmentation backend can be told, beside what both can."""

    port: int = Field(7070, ge=1, le=65535, description="Port to listen on")
    segmentation_model: Literal["auto", "embedded", "segformer"] = Field(
        "auto", description="auto (the best in MODELS_DIR, else embedded), embedded or segformer"
    )
    min_region_fraction: float = Field(
        0.0002, ge=0, le=1, description="Parts smaller than this fraction of the image are dropped"
    )
