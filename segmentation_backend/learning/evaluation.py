"""Measure how well models find a project's labels on annotated images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_backend.labelstudio.label_config import Label
from ml_backend.labelstudio.label_matching import match_labels
from segmentation_backend.classes import SYNONYMS
from segmentation_backend.learning.example import IGNORE, Indices, LearningSet, Pixels
from segmentation_backend.learning.features import Features
from segmentation_backend.learning.gate import Confusion
from segmentation_backend.learning.learned_model import LearnedModel
from segmentation_backend.learning.project_model import ProjectModel
from segmentation_backend.models.base import Instance, SegmentationModel

Scores = npt.NDArray[np.float64]

LEAST_AREA = 1e-3  # of the image; scores of smaller regions are not calibrated


@dataclass(frozen=True, eq=False)
class View:
    """Annotated image with its features, and the version of their extractor."""

    image: Pixels
    mask: Indices
    features: Features
    extractor: str

    def answer(self, model: SegmentationModel) -> list[Instance]:
        """Segment the image with a model, without extracting its features again."""
        if isinstance(model, LearnedModel) and model.recipe.extractor == self.extractor:
            return model.answer(self.features, self.image)
        return model.segment([self.image])[0]


@dataclass(frozen=True, eq=False)
class Contender:
    """Model to measure.

    Attributes:
        answer: Returns the instances in an image.
        indices: Index of the project's label for each class of the model that has one.
    """

    answer: Callable[[View], list[Instance]]
    indices: Mapping[int, int]

    @classmethod
    def of(cls, model: SegmentationModel, data: LearningSet) -> "Contender":
        """Prepare a learned or a shipped model."""
        labels = matching(model, data).items()
        indices = {number: data.labels.index(label) for number, label in labels}
        if not indices:
            return cls(lambda _: [], indices)  # skip the slow model
        return cls(lambda view: view.answer(model), indices)

    def predict(self, view: View, labels: int) -> tuple[Indices, Scores]:
        """Return (H, W) label indices, and (``labels``,) scores, 0 where a label is missing."""
        predicted = np.zeros(view.mask.shape, np.uint8)
        scores, areas = np.zeros((2, labels))
        for each in self.answer(view):
            if label := self.indices.get(each.class_index, 0):
                height, width = each.crop.shape
                box = np.s_[each.top : each.top + height, each.left : each.left + width]
                predicted[box][each.crop] = label
                scores[label] += each.score * each.area
                areas[label] += each.area
        return predicted, scores / np.maximum(areas, 1)


class Measured:
    """Measurements of a model.

    Attributes:
        pairs: Score and true IoU of each region.
        images: Number of images that it was measured on.

    Args:
        labels: Number of labels, including the background.
    """

    def __init__(self, labels: int) -> None:
        self.pairs: list[tuple[float, float]] = []
        self.images = 0
        self._confusion = Confusion(labels)
        self._labels = labels

    @property
    def ious(self) -> npt.NDArray[np.float64]:
        """Return (L,) IoU of each label; NaN for labels in no true mask."""
        return self._confusion.ious()

    @property
    def mean(self) -> float:
        """Mean IoU of the labels without the background."""
        return float(np.nan_to_num(np.nanmean(self.ious[1:]))) if self.images else 0.0

    @property
    def right(self) -> float:
        """Fraction of the pixels of all labels except the background that get their label."""
        counts = self._confusion.counts[1:]
        return float(counts[:, 1:].diagonal().sum() / max(1, counts.sum()))

    def add(self, contender: Contender, view: View) -> None:
        """Add a model's answer on one image."""
        predicted, scores = contender.predict(view, self._labels)
        self._confusion.add(view.mask, predicted)
        self.pairs.extend(_pairs(view.mask, predicted, scores))
        self.images += 1


def matching(model: SegmentationModel, data: LearningSet) -> dict[int, str]:
    """Return the project's label for each class of a model.

    A learned model's classes are labels; those of others are matched as in predictions.
    """
    if isinstance(model, ProjectModel):
        known = enumerate(model.classes)
        return {number: name for number, name in known if number and name in data.labels}
    return owners(model.classes, data)


def owners(classes: Sequence[str], data: LearningSet) -> dict[int, str]:
    """Return the project's label for each class of a shipped model."""
    labels = [Label(value, data.predicted_values.get(value, ())) for value in data.labels[1:]]
    return match_labels(classes, labels, SYNONYMS)


def _pairs(mask: Indices, predicted: Indices, scores: Scores) -> Iterator[tuple[float, float]]:
    known = mask != IGNORE
    for label in np.unique(predicted[known]):
        region, true = (predicted == label) & known, mask == label
        if label > 0 and region.sum() >= LEAST_AREA * mask.size:
            iou = float((region & true).sum() / (region | true).sum())
            yield float(scores[label]), iou
