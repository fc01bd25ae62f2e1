"""Label config as a prompt: the phrases that a text-prompted model is asked to find."""

from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.phrases import phrases_of
from segmentation_backend.models.base import SegmentationModel, TextPromptedModel


def prompted(model: SegmentationModel, label_config: LabelConfig) -> SegmentationModel:
    """Return the model for a label config: a text-prompted one is asked for its labels."""
    if not isinstance(model, TextPromptedModel):
        return model
    images = label_config.mask_images()
    labels = [label for image in images for label in label_config.mask_labels(image)]
    return model.for_phrases({label.value: phrases_of(label) for label in reversed(labels)})
