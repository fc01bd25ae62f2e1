"""Which model the settings ask for, loaded and warmed."""

import time
from pathlib import Path

import numpy as np
import structlog
import torch

from ml_backend.models.checkpoints import SEGMENTATION_WEIGHTS
from ml_backend.models.device import prepare_torch
from ml_backend.models.downloads import obtain
from segmentation_backend.models.base import GarmentModel
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from segmentation_backend.settings import SegmentationSettings

log = structlog.get_logger(__name__)


def load_model(settings: SegmentationSettings) -> GarmentModel:
    """Load the model that ``SEGMENTATION_MODEL`` names, ready for a photograph.

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
    asked, models_dir = settings.segmentation_model, settings.models_dir
    model = _load(_choose(settings), models_dir, device)
    model.segment([np.zeros((825, 550, 3), np.uint8)])
    log.info(
        "model_loaded",
        asked=asked,
        model_version=model.version,
        device=device,
        threads=torch.get_num_threads(),
        seconds=round(time.perf_counter() - started, 1),
    )
    return model


def _choose(settings: SegmentationSettings) -> str:
    asked, models_dir = settings.segmentation_model, settings.models_dir
    if asked == "auto":
        present = (w.name for w in SEGMENTATION_WEIGHTS if not w.missing(models_dir))
        return next(present, "embedded")
    for weights in SEGMENTATION_WEIGHTS:
        if weights.name == asked and not obtain(weights, models_dir, settings.model_fallback):
            return "embedded"
    return asked


def _load(name: str, models_dir: Path, device: str) -> GarmentModel:
    for weights in SEGMENTATION_WEIGHTS:
        if weights.name == name:
            # Imported here, for transformers takes seconds that other models need not wait.
            from segmentation_backend.models.segformer import SegformerGarmentModel

            return SegformerGarmentModel.load(weights, models_dir, device)
    return EmbeddedGarmentModel.load(device=device)
