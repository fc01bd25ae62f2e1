"""Figures of a learning run."""

from segmentation_backend.learning.outcome import Figures, LabelFigure


def figures(**rows: tuple[float | None, float | None]) -> Figures:
    """Figures of the previous and the new model by label."""
    labels = (LabelFigure(label, 9, old, new, "learned") for label, (old, new) in rows.items())
    return Figures(tuple(labels), learned_from=40, held_out=10, cross_validated=False)
