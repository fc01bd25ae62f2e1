"""Decide whether a new model may serve, by figures on images that it did not learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from segmentation_backend.learning.example import IGNORE, Example, Indices
from segmentation_backend.learning.outcome import Figures

EVERY: Final = 5  # one image of so many is held out
FEW: Final = 25  # images below which none is held out
FOLDS: Final = 5  # of the cross-validation below that
GOOD: Final = 0.5  # IoU above which a label is protected
LOSS: Final = 0.05  # IoU that a protected label may lose


def is_held_out(identity: str) -> bool:
    """Return whether an image is held out: every fifth one, by its content.

    Args:
        identity: SHA-256 of the image, in hex.
    """
    return int(identity[:12], 16) % EVERY == 0


@dataclass(frozen=True, eq=False)
class Fold:
    """Examples to learn from, and examples to measure on."""

    learned: tuple[Example, ...]
    measured: tuple[Example, ...]


def folds(examples: Sequence[Example]) -> list[Fold]:
    """Return one fold with the held-out images; below ``FEW``, a cross-validation."""
    ordered = sorted(examples, key=lambda each: each.identity)
    held_out = [each for each in ordered if is_held_out(each.identity)]
    if len(ordered) >= FEW and len(held_out) > 1:
        return [_fold(ordered, {each.identity for each in held_out})]
    identities = sorted({each.identity for each in ordered})
    return [_fold(ordered, set(identities[start::FOLDS])) for start in range(FOLDS)]


def _fold(examples: Sequence[Example], measured: set[str]) -> Fold:
    return Fold(
        tuple(each for each in examples if each.identity not in measured),
        tuple(each for each in examples if each.identity in measured),
    )


class Confusion:
    """Pixel counts by true and predicted label.

    Args:
        labels: Number of labels, including the background.
    """

    def __init__(self, labels: int) -> None:
        self.counts = np.zeros((labels, labels), np.int64)

    def add(self, truth: Indices, predicted: Indices) -> None:
        """Add the pixels of an image, except those of ``IGNORE``; (H, W) uint8 each."""
        labels, known = len(self.counts), truth != IGNORE
        pairs = truth[known].astype(np.int64) * labels + predicted[known]
        self.counts += np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)

    def ious(self) -> npt.NDArray[np.float64]:
        """Return (L,) intersection over union of each label; NaN for labels in no true mask."""
        inside, true = np.diag(self.counts), self.counts.sum(1)
        union = true + self.counts.sum(0) - inside
        return np.where(true > 0, inside / np.maximum(union, 1), np.nan)


@dataclass(frozen=True)
class Verdict:
    """Decision about a new model.

    Attributes:
        promoted: Whether it will serve.
        reason: Human-readable reason in one line.
    """

    promoted: bool
    reason: str


def judge(figures: Figures) -> Verdict:
    """Promote a model if the mean IoU rises and no good label gets clearly worse."""
    if figures.old is None or figures.new is None:
        return Verdict(False, "no label appears in the images held out")
    if fallen := [row for row in figures.labels if _falls(row.old or 0.0, row.new or 0.0)]:
        label, old, new = fallen[0].label, fallen[0].old or 0.0, fallen[0].new or 0.0
        return Verdict(False, f"{label!r} would fall from IoU {old:.2f} to {new:.2f}")
    change = f"from {figures.old:.3f} to {figures.new:.3f}"
    if figures.new <= figures.old:
        return Verdict(False, f"mean IoU would not rise: {change}")
    return Verdict(True, f"mean IoU rises {change} on {figures.held_out} images")


def _falls(old: float, new: float) -> bool:
    return old > GOOD and old - new > LOSS
