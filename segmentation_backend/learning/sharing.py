"""Share a project's labels between its head and the shipped model."""

from collections.abc import Mapping
from dataclasses import dataclass

from segmentation_backend.learning import gate
from segmentation_backend.learning.outcome import Figures


@dataclass(frozen=True)
class Share:
    """Labels that are left to the shipped model.

    Attributes:
        left: Labels that it finds. Its regions give way to the labels that the head has learned.
        whole: Those of ``left`` whose regions do not give way.
    """

    left: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()

    @classmethod
    def of(cls, shipped: Mapping[str, float], head: Figures) -> "Share":
        """Leave the labels that the shipped model finds clearly better.

        Args:
            shipped: IoU of the shipped model by label that it knows.
            head: Figures of the head alone.
        """
        return cls(frozenset(_better(shipped, _ious(head), gate.LOSS)))

    def revised(self, shipped: Mapping[str, float], head: Figures, found: Figures) -> "Share":
        """Revise it by what the models that share the labels find.

        If they would be refused, the labels that lose most by it are left to the shipped model, and
        give way no more. Any other label that the head alone finds better goes back to it.

        Args:
            shipped: IoU of the shipped model by label that it knows.
            head: Figures of the head alone.
            found: Figures of the models that share the labels in this way.
        """
        now, alone = _ious(found), _ious(head)
        whole = self.whole
        if not gate.judge(found).promoted:
            whole |= _worst({label: shipped[label] for label in shipped.keys() - whole}, now)
        return Share(whole | {label for label in self.left if now[label] >= alone[label]}, whole)


def _worst(shipped: Mapping[str, float], now: Mapping[str, float]) -> set[str]:
    """Return the good labels that lose clearly; else all that do; else all that lose."""
    clearly = _better(shipped, now, gate.LOSS)
    good = {label for label in clearly if shipped[label] > gate.GOOD}
    return good or clearly or _better(shipped, now, 0)


def _better(shipped: Mapping[str, float], now: Mapping[str, float], by: float) -> set[str]:
    """Return the labels that the shipped model finds better by more than ``by``."""
    return {label for label, iou in shipped.items() if iou - now[label] > by}


def _ious(figures: Figures) -> dict[str, float]:
    """Return the new model's IoU by label; 0 where it was not measured."""
    return {row.label: row.new or 0.0 for row in figures.labels}
