"""Settings of the segmentation backend."""

from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, field_validator

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
    sam_prewarm_url: str | None = Field(
        None,
        description="Where the sam backend is told of opened tasks: http://sam:9090/prewarm",
    )

    @field_validator("sam_prewarm_url")
    @classmethod
    def _is_whole(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("write it as http://host:9090/prewarm; the login is BASIC_AUTH_USER's")
        return url if parts.path.strip("/") else urlunsplit(parts._replace(path="/prewarm"))
