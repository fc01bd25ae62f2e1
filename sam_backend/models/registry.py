"""Which model the settings ask for, loaded and warmed."""

import time

import numpy as np
import structlog
import torch

from ml_backend.compute import prepare_torch
from sam_backend.models.base import Box, Point, PromptableModel, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.segment_anything import CHECKPOINTS, SegmentAnything
from sam_backend.settings import SamSettings

log = structlog.get_logger(__name__)


def load_model(settings: SamSettings) -> PromptableModel:
    """Load the model that ``SAM_MODEL`` names, ready for a click.

    ``auto`` is the best one whose file is in ``MODELS_DIR``, else the embedded one; a file that is
    there but damaged is an error, so that nobody works with a lesser model unawares.

    Raises:
        ModelError: Weights are missing or not what their name says, or there is no such device.
    """
    started = time.perf_counter()
    device = prepare_torch(settings)
    name = _best_present(settings) if settings.sam_model == "auto" else settings.sam_model
    model = _load(name, settings, device)
    _warm_up(model)
    log.info(
        "model_loaded",
        asked=settings.sam_model,
        model_version=model.version,
        device=device,
        threads=torch.get_num_threads(),
        seconds=round(time.perf_counter() - started, 1),
    )
    return model


def _best_present(settings: SamSettings) -> str:
    present = (c.name for c in CHECKPOINTS if (settings.models_dir / c.file).exists())
    return next(present, "embedded")


def _load(name: str, settings: SamSettings, device: str) -> PromptableModel:
    for checkpoint in CHECKPOINTS:
        if checkpoint.name == name:
            return SegmentAnything.load(checkpoint, settings.models_dir, device)
    return EmbeddedPromptableModel.load(device=device)


def _warm_up(model: PromptableModel) -> None:
    """Let the libraries set up what they set up on first use, before a labeler waits for it."""
    embedding = model.embed(np.full((64, 96, 3), 128, np.uint8))
    mask = model.segment(embedding, Prompts(Box(16, 16, 80, 48)))
    model.segment(embedding, Prompts(Box(16, 16, 80, 48), (Point(32, 32),)), mask)
