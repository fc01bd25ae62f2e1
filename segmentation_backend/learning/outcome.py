"""What a learning run gives: figures of each label and a verdict. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from ml_backend.errors import SegstudioError

Source = Literal["learned", "shipped"]


class LearningError(SegstudioError):
    """Nothing can be learned from a project's annotations as they are."""


@dataclass(frozen=True)
class LabelFigure:
    """How well a label is found, on images that were not learned from.

    Attributes:
        label: Value of the label.
        images: Annotated images that it appears in.
        old: IoU of the model that served before, 0..1; None where the label was not measured.
        new: IoU of the new model.
        source: Which model finds it: the learned head, or the shipped model.
    """

    label: str
    images: int
    old: float | None
    new: float | None
    source: Source


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        labels: Those of the project, in order.
        learned_from: Images that the new model learned from.
        held_out: Images that the figures are of.
        cross_validated: Whether every image was measured by a model that did not see it, because
            there are too few to set some aside.
    """

    labels: tuple[LabelFigure, ...]
    learned_from: int
    held_out: int
    cross_validated: bool

    @property
    def old(self) -> float | None:
        """Mean IoU of the model that served before, over the labels measured."""
        return _mean([row.old for row in self.labels if row.old is not None])

    @property
    def new(self) -> float | None:
        """Mean IoU of the new model, over the labels measured."""
        return _mean([row.new for row in self.labels if row.new is not None])


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
