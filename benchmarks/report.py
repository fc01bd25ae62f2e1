"""What was measured, as a table as it goes, as CSV, as a picture and in the README."""

import csv
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import torch
from rich.console import Console

from benchmarks.measure import Figure, Spread
from ml_backend.serving.cpu_quota import available_cpus

mpl.use("Agg")
from matplotlib import pyplot as plt

HEADER = ("what", "this project", "beside", "", "ratio", "goal", "")
_NAMES = {"name", "unit", "beside", "goal", "met"}


def machine() -> str:
    """Processor, cores and torch."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    flags = " ".join(line for line in lines if line.startswith("flags"))
    fast = ", with AVX512-BF16" if "avx512_bf16" in flags else ""
    return (
        f"{model or platform.machine()}{fast}, {available_cpus()} cores,"
        f" torch {torch.__version__}, Python {platform.python_version()}"
    )


def say(console: Console, figure: Figure) -> None:
    """Print one line."""
    what, ours, beside, other, ratio, goal, met = _cells(figure)
    colour = {"met": "green", "not met": "bold red"}.get(met, "")
    console.print(f"{what:36} {ours:>26}   {beside:34} {other:>26}   {ratio:>20}", highlight=False)
    if goal:
        console.print(f"{'':36}   {goal}  [{colour}]{met}[/]" if met else f"{'':39}{goal}")


def markdown(figures: Sequence[Figure]) -> str:
    """The README's table."""
    rows = [HEADER, ("---",) * len(HEADER), *map(_cells, figures)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def write_readme(readme: Path, figures: Sequence[Figure]) -> None:
    """Put machine and table between the README's marks."""
    text = f"{machine()}:\n\n{markdown(figures)}"
    pattern = r"(?<=<!-- bench -->\n).*(?=<!-- /bench -->)"
    old = readme.read_text()
    readme.write_text(re.sub(pattern, lambda _: f"\n{text}\n\n", old, flags=re.DOTALL))


def write_csv(path: Path, figures: Sequence[Figure]) -> None:
    """A row each; empty where there is nothing to say."""
    names = ("ours", "other", "ratio")
    columns = [f"{name}_{part}" for name in names for part in ("median", "low", "high")]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "unit", *columns, "beside", "goal", "met", "machine"])
        for figure in figures:
            spreads = (figure.ours, figure.other, figure.ratio)
            numbers = [number for spread in spreads for number in _numbers(spread)]
            met = "" if figure.met is None else figure.met
            row = [figure.name, figure.unit, *numbers, figure.beside, figure.goal, met, machine()]
            writer.writerow(row)


def draw(path: Path, figures: Sequence[Figure]) -> None:
    """Ratios with their quartiles, on a logarithmic axis."""
    shown = [(figure, figure.ratio) for figure in figures if figure.ratio][::-1]
    plot, axes = plt.subplots(figsize=(11, 1 + 0.35 * len(shown)))
    for row, (figure, ratio) in enumerate(shown):
        colour = {None: "0.4", True: "tab:green", False: "tab:red"}[figure.met]
        around = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
        axes.errorbar([ratio.median], [row], xerr=around, fmt="o", capsize=3, color=colour)
    axes.axvline(1, color="0.7", zorder=0)
    axes.set_xscale("log")
    axes.set_yticks(range(len(shown)), [f"{f.name}  /  {f.beside}" for f, _ in shown])
    axes.set_xlabel(f"ratio, median and quartiles ({machine()})", fontsize=8)
    plot.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(plot)


def _cells(figure: Figure) -> tuple[str, ...]:
    met = {None: "", True: "met", False: "not met"}[figure.met]
    return (
        figure.name,
        _text(figure.ours, figure.unit),
        figure.beside,
        _text(figure.other, figure.unit),
        _text(figure.ratio, ""),
        figure.goal,
        met,
    )


def _text(spread: Spread | None, unit: str) -> str:
    """Three figures that count; quartiles only where there were several measurements."""
    if spread is None:
        return ""
    if spread.low == spread.high:
        return f"{_short(spread.median)} {unit}".strip()
    around = f"{_short(spread.low)} to {_short(spread.high)}"
    return f"{_short(spread.median)} ({around}) {unit}".strip()


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _numbers(spread: Spread | None) -> list[str]:
    if spread is None:
        return [""] * 3
    return [f"{value:.6g}" for value in (spread.median, spread.low, spread.high)]
