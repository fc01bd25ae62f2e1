"""Models that ``SAM_MODEL`` can name."""

from pathlib import Path

import numpy as np

from ml_backend.models import registry
from ml_backend.models.checkpoints import SAM2_WEIGHTS, SAM_WEIGHTS, Checkpoint
from ml_backend.models.hub import SAM_HUB_MODELS
from sam_backend.models.base import Box, Point, PromptableModel, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.settings import SamSettings


def load_model(settings: SamSettings) -> PromptableModel:
    """Load the model that ``SAM_MODEL`` names; see ``ml_backend.models.registry``.

    SAM 2.1 is preferred to SAM: it needs fewer clicks and is faster (Ravi et al., 2024).
    """
    loaders = registry.Loaders[PromptableModel](
        embedded=lambda device: EmbeddedPromptableModel.load(device=device),
        published=dict.fromkeys(SAM2_WEIGHTS, _sam2) | dict.fromkeys(SAM_WEIGHTS, _sam),
        hub=SAM_HUB_MODELS,
        setting="SAM_MODEL",
        folder=load_folder,
        warm_up=_warm_up,
    )
    return registry.load_model(settings.sam_model, loaders, settings)


def load_folder(folder: Path, version: str, device: str) -> PromptableModel:
    """Load a folder in transformers' format; see ``SegmentAnything2.load_folder``."""
    from ml_backend.models.sam3 import is_sam3
    from sam_backend.models.sam2 import SegmentAnything2
    from sam_backend.models.sam3 import SegmentAnything3
    from sam_backend.models.sam_hq import SegmentAnythingHq, is_sam_hq

    if is_sam3(folder):
        return SegmentAnything3.load_folder(folder, version, device)
    if is_sam_hq(folder):
        return SegmentAnythingHq.load_folder(folder, version, device)
    return SegmentAnything2.load_folder(folder, version, device)


# Imported on use: transformers takes seconds and torchvision 160 MB, which other models save.
def _sam2(checkpoint: Checkpoint, models_dir: Path, device: str) -> PromptableModel:
    from sam_backend.models.sam2 import SegmentAnything2

    return SegmentAnything2.load(checkpoint, models_dir, device)


def _sam(checkpoint: Checkpoint, models_dir: Path, device: str) -> PromptableModel:
    from sam_backend.models.segment_anything import SegmentAnything

    return SegmentAnything.load(checkpoint, models_dir, device)


def _warm_up(model: PromptableModel) -> None:
    embedding = model.embed(np.full((64, 96, 3), 128, np.uint8))
    mask = model.segment(embedding, Prompts(Box(16, 16, 80, 48)))
    model.segment(embedding, Prompts(Box(16, 16, 80, 48), (Point(32, 32),)), mask)
