"""How well models find a project's labels on annotated images."""

from collections.abc import Callable, Iterator
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
from segmentation_backend.models.base import ClassMap, GarmentModel

LEAST_AREA = 1e-3  # of the image; scores of smaller regions are not calibrated


@dataclass(frozen=True, eq=False)
class View:
    """One annotated image, with its features."""

    image: Pixels
    mask: Indices
    features: Features


@dataclass(frozen=True, eq=False)
class Contender:
    """A model that is measured.

    Attributes:
        answer: Classifies every pixel of an image.
        indices: (C,) uint8: for each class of the model, the index of its label in the project.
    """

    answer: Callable[[View], ClassMap]
    indices: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, model: GarmentModel, data: LearningSet) -> "Contender":
        """Prepare a model, a learned one or one that knows no project."""
        labels = matching(model, data)
        indices = np.zeros(len(model.classes), np.uint8)
        for number, label in labels.items():
            indices[number] = data.labels.index(label)
        if not labels:
            return cls(_nothing, np.zeros(1, np.uint8))
        if isinstance(model, LearnedModel):
            return cls(lambda view: model.answer(view.features, view.image), indices)
        return cls(lambda view: model.segment([view.image])[0], indices)


class Measured:
    """What was found out about a model.

    Attributes:
        pairs: Score and true IoU of each region.
        images: Images that it was measured on.

    Args:
        labels: How many, background included.
    """

    def __init__(self, labels: int) -> None:
        self.pairs: list[tuple[float, float]] = []
        self.images = 0
        self._confusion = Confusion(labels)
        self._labels = labels

    @property
    def ious(self) -> npt.NDArray[np.float64]:
        """(L,) IoU of each label; NaN for labels that are in no true mask."""
        return self._confusion.ious()

    @property
    def mean(self) -> float:
        """Mean IoU of the labels but the background."""
        return float(np.nan_to_num(np.nanmean(self.ious[1:]))) if self.images else 0.0

    def add(self, contender: Contender, view: View) -> None:
        """Count a model's answer on one image."""
        found = contender.answer(view)
        predicted = contender.indices[found.indices]
        scores = np.zeros(self._labels, np.float32)
        np.maximum.at(scores, contender.indices, found.scores)
        self._confusion.add(view.mask, predicted)
        self.pairs.extend(_pairs(view.mask, predicted, scores))
        self.images += 1


def matching(model: GarmentModel, data: LearningSet) -> dict[int, str]:
    """Return the label of a project that each class of a model belongs to.

    A learned model's classes are labels already; those of others reach labels as in predictions.
    """
    if isinstance(model, LearnedModel):
        known = enumerate(model.classes)
        return {number: name for number, name in known if number and name in data.labels}
    labels = [Label(value, data.predicted_values.get(value, ())) for value in data.labels[1:]]
    return match_labels(model.classes, labels, SYNONYMS)


def _nothing(view: View) -> ClassMap:
    return ClassMap(np.zeros(view.mask.shape, np.uint8), np.zeros(1, np.float32))


def _pairs(
    mask: Indices, predicted: Indices, scores: npt.NDArray[np.float32]
) -> Iterator[tuple[float, float]]:
    known = mask != IGNORE
    for label in np.unique(predicted[known]):
        region, true = (predicted == label) & known, mask == label
        if label > 0 and region.sum() >= LEAST_AREA * mask.size:
            iou = float((region & true).sum() / (region | true).sum())
            yield float(scores[label]), iou
