"""Which model the settings ask for, loaded and warmed."""

import time
from pathlib import Path

import numpy as np
import structlog
import torch

from ml_backend.models.checkpoints import SAM2_WEIGHTS, SAM_WEIGHTS, Checkpoint
from ml_backend.models.device import prepare_torch
from ml_backend.models.downloads import obtain
from sam_backend.models.base import Box, Point, PromptableModel, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.settings import SamSettings

log = structlog.get_logger(__name__)


def load_model(settings: SamSettings) -> PromptableModel:
    """Load the model that ``SAM_MODEL`` names, ready for a click.

    ``auto`` is the best one whose files are in ``MODELS_DIR``, else the embedded one; a file that
    is there but damaged is an error, so that nobody works with a lesser model unawares. Missing
    files of a model that is asked for by name are fetched; what happens where that cannot be is
    ``MODEL_FALLBACK``'s to say.

    Raises:
        ModelError: Weights cannot be had or are not what their name says, or there is no such
            device.
    """
    started = time.perf_counter()
    device = prepare_torch(settings)
    asked, models_dir = settings.sam_model, settings.models_dir
    model = _load(_choose(settings), models_dir, device)
    _warm_up(model)
    log.info(
        "model_loaded",
        asked=asked,
        model_version=model.version,
        device=device,
        threads=torch.get_num_threads(),
        seconds=round(time.perf_counter() - started, 1),
    )
    return model


def _choose(settings: SamSettings) -> str:
    asked, models_dir = settings.sam_model, settings.models_dir
    if asked == "auto":
        present = (name for name, each in _known().items() if not each.missing(models_dir))
        return next(present, "embedded")
    weights = _known().get(asked)
    if weights is not None and not obtain(weights, models_dir, settings.model_fallback):
        return "embedded"
    return asked


def _known() -> dict[str, Checkpoint]:
    """By name, the best first.

    SAM 2.1 before SAM: more with fewer clicks, and faster (Ravi et al., 2024).
    """
    return {weights.name: weights for weights in (*SAM2_WEIGHTS, *SAM_WEIGHTS)}


def _load(name: str, models_dir: Path, device: str) -> PromptableModel:
    weights = _known().get(name)
    if weights is None:
        return EmbeddedPromptableModel.load(device=device)
    # Imported here: transformers takes seconds and torchvision 160 MB, which other models need not.
    if weights in SAM2_WEIGHTS:
        from sam_backend.models.sam2 import SegmentAnything2

        return SegmentAnything2.load(weights, models_dir, device)
    from sam_backend.models.segment_anything import SegmentAnything

    return SegmentAnything.load(weights, models_dir, device)


def _warm_up(model: PromptableModel) -> None:
    """Let the libraries set up what they set up on first use, before a labeler waits for it."""
    embedding = model.embed(np.full((64, 96, 3), 128, np.uint8))
    mask = model.segment(embedding, Prompts(Box(16, 16, 80, 48)))
    model.segment(embedding, Prompts(Box(16, 16, 80, 48), (Point(32, 32),)), mask)
