"""Outcome of a learning run: figures of each label, and a verdict. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from ml_backend.errors import SegstudioError

Source = Literal["learned", "shipped"]


class LearningError(SegstudioError):
    """A project's annotations are not sufficient for learning."""


@dataclass(frozen=True)
class LabelFigure:
    """Quality of a label on images that were not learned from.

    Attributes:
        label: Label value.
        images: Number of annotated images that contain it.
        old: IoU of the previous model, 0..1; None if the label was not measured.
        new: IoU of the new model, 0..1.
        source: Model that finds it: the learned head, or the shipped model.
    """

    label: str
    images: int
    old: float | None
    new: float | None
    source: Source


@dataclass(frozen=True)
class Figures:
    """Figures of a run.

    Attributes:
        labels: Figures of the project's labels, in order.
        learned_from: Number of images that the new model learned from.
        held_out: Number of images that the figures were measured on.
        cross_validated: Whether each image was measured by a model that did not learn from it,
            because there are too few to hold some out.
    """

    labels: tuple[LabelFigure, ...]
    learned_from: int
    held_out: int
    cross_validated: bool

    @property
    def old(self) -> float | None:
        """Mean IoU of the previous model over the measured labels."""
        return _mean([row.old for row in self.labels if row.old is not None])

    @property
    def new(self) -> float | None:
        """Mean IoU of the new model over the measured labels."""
        return _mean([row.new for row in self.labels if row.new is not None])


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
