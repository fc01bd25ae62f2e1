"""Models that ``SEGMENTATION_MODEL`` can name."""

from pathlib import Path

import numpy as np

from ml_backend.models import registry
from ml_backend.models.checkpoints import SEGMENTATION_WEIGHTS, Checkpoint
from ml_backend.models.hub import SEGMENTATION_HUB_MODELS
from segmentation_backend.models.base import SegmentationModel
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from segmentation_backend.settings import SegmentationSettings


def load_model(settings: SegmentationSettings) -> SegmentationModel:
    """Load the model that ``SEGMENTATION_MODEL`` names; see ``ml_backend.models.registry``."""
    loaders = registry.Loaders[SegmentationModel](
        embedded=lambda device: EmbeddedGarmentModel.load(device=device),
        published=dict.fromkeys(SEGMENTATION_WEIGHTS, _segformer),
        hub=SEGMENTATION_HUB_MODELS,
        setting="SEGMENTATION_MODEL",
        folder=load_folder,
        warm_up=lambda model: model.segment([np.zeros((825, 550, 3), np.uint8)]),
    )
    return registry.load_model(settings.segmentation_model, loaders, settings)


def _segformer(checkpoint: Checkpoint, models_dir: Path, device: str) -> SegmentationModel:
    # Imported here because transformers takes seconds, which other models save.
    from segmentation_backend.models.segformer import SegformerGarmentModel

    return SegformerGarmentModel.load(checkpoint, models_dir, device)


def load_folder(folder: Path, version: str, device: str) -> SegmentationModel:
    """Load a folder in transformers' format: SAM 3 or any segmentation checkpoint."""
    from ml_backend.models.sam3 import is_sam3
    from segmentation_backend.models.sam3 import ConceptModel
    from segmentation_backend.models.transformers_model import TransformersModel

    if is_sam3(folder):
        return ConceptModel.load(folder, version, device)
    return TransformersModel.load(folder, version, device)
