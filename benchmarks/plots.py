"""Measured figures as a plot."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl

from benchmarks.measure import Figure

mpl.use("Agg")
from matplotlib import pyplot as plt


def draw(path: Path, figures: Iterable[Figure]) -> None:
    """Plot the ratios with their quartiles, on a logarithmic axis."""
    shown = [(figure, figure.ratio) for figure in figures if figure.ratio][::-1]
    plot, axes = plt.subplots(figsize=(11, 1 + 0.35 * len(shown)))
    for row, (figure, ratio) in enumerate(shown):
        colour = {None: "0.4", True: "tab:green", False: "tab:red"}[figure.met]
        around = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
        axes.errorbar([ratio.median], [row], xerr=around, fmt="o", capsize=3, color=colour)
    axes.axvline(1, color="0.7", zorder=0)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [f"{f.name}  /  {f.beside}" for f, _ in shown])
    axes.set_xlabel("this project / compared with (median and quartiles)")
    plot.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(plot)
