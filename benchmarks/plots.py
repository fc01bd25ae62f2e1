"""Plot of measured figures."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl

from benchmarks.measure import Figure

mpl.use("Agg")
from matplotlib import pyplot as plt


def draw(path: Path, figures: Iterable[Figure]) -> None:
    """Plot the ratios with their quartiles, on a logarithmic axis."""
    shown = [(figure, figure.ratio) for figure in figures if figure.ratio][::-1]
    plot, axes = plt.subplots(figsize=(6, 1 + 0.25 * len(shown)))
    for row, (figure, ratio) in enumerate(shown):
        colour = {None: "0.4", True: "tab:green", False: "tab:red"}[figure.met]
        around = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
        axes.errorbar([ratio.median], [row], xerr=around, fmt="o", capsize=3, color=colour)
    axes.axvline(1, color="0.7", zorder=0)
    axes.set_xscale("log")
    names = [f"{figure.name}  /  {figure.baseline}" for figure, _ in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.set_xlabel("this project / compared with (median and quartiles)", fontsize=8)
    plot.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(plot)
