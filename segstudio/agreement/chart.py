"""Bar chart of the agreement."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segstudio.agreement.compare import ChoiceAgreement, MaskAgreement

_ROW, _MARGIN, _WIDTH = 0.4, 1.2, 7.0
"""Inches."""

_TENTATIVE, _GOOD = 0.667, 0.8
"""Thresholds of Krippendorff's alpha; Krippendorff, Content Analysis, 2004, p. 241."""

Bars = Sequence[tuple[str, float | None, float | None]]
"""Name and two values of each pair of bars; None is not drawn."""


def draw_chart(
    path: Path, choices: Sequence[ChoiceAgreement], masks: Sequence[MaskAgreement]
) -> None:
    """Write a PNG with two bars for each label and choice: masks left, choices right."""
    parts: list[tuple[str, tuple[str, str], Bars]] = []
    if masks:
        mask_bars = [(each.label, each.iou, each.boundary_f) for each in masks]
        parts.append(("Masks", ("mean IoU", "boundary F"), mask_bars))
    if choices:
        choice_bars = [(_name(each), each.kappa, each.alpha) for each in choices]
        parts.append(("Choices", ("Cohen's kappa", "Krippendorff's alpha"), choice_bars))
    rows = max((len(bars) for _, _, bars in parts), default=0)
    size = (_WIDTH * max(len(parts), 1), _MARGIN + _ROW * rows)
    figure = Figure(figsize=size, layout="constrained")
    for number, (title, names, bars) in enumerate(parts, start=1):
        _draw(figure.add_subplot(1, len(parts), number), title, names, bars)
    figure.savefig(path, dpi=150)


def _draw(axes: Axes, title: str, names: tuple[str, str], bars: Bars) -> None:
    places = range(len(bars))
    for side, name in enumerate(names):
        values = [bar[side + 1] for bar in bars]
        numbers = [0.0 if value is None else value for value in values]
        axes.barh([place + (side - 0.5) * _ROW for place in places], numbers, _ROW, label=name)
    axes.set_yticks(list(places), [bar[0] for bar in bars])
    axes.invert_yaxis()
    lowest = min((value for bar in bars for value in bar[1:] if value is not None), default=0)
    axes.set_xlim(min(lowest, 0), 1)
    if title == "Choices":
        for threshold in (_TENTATIVE, _GOOD):
            axes.axvline(threshold, color="gray", linestyle=":", linewidth=1)
    axes.set_title(title)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=2, ncols=2, frameon=False
    )


def _name(agreement: ChoiceAgreement) -> str:
    return f"{agreement.control}: {agreement.choice or 'all'}"
