"""Load the model of a project, of either kind."""

from pathlib import Path

from ml_backend.models.blocks import read_weights
from segmentation_backend.learning.fine_tuned import FineTunedModel
from segmentation_backend.learning.learned_model import LearnedModel
from segmentation_backend.models.base import SegmentationModel

ProjectModel = LearnedModel | FineTunedModel


def load_project_model(path: Path, base: SegmentationModel, device: str = "cpu") -> ProjectModel:
    """Read a model that quick or thorough learning saved.

    Args:
        path: Path of the file.
        base: Model of projects that have learned nothing.
        device: Device for the network: ``"cpu"`` or ``"cuda"``.

    Raises:
        ModelError: The file is missing, damaged or from another version of segstudio.
    """
    weights = read_weights(path)
    if "recipe" in weights.metadata:
        return LearnedModel.load(path, base, device)
    return FineTunedModel(weights, base, device)
