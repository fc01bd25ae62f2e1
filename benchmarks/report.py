"""Output during the measurements."""

import platform
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from benchmarks.measure import Figure
from benchmarks.results import cells
from ml_backend.serving.cpu_quota import available_cpus


def machine() -> str:
    """Return processor, cores, and the versions of torch and Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    flags = " ".join(line for line in lines if line.startswith("flags"))
    fast = ", with AVX512-BF16" if "avx512_bf16" in flags else ""
    return (
        f"{model or platform.machine()}{fast}, {available_cpus()} cores,"
        f" torch {torch.__version__}, Python {platform.python_version()}"
    )


def progress_bar(console: Console) -> Progress:
    """Return a progress bar that is shown below the figures if the console is a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def say(console: Console, figure: Figure) -> None:
    """Print a figure as one line."""
    what, ours, baseline, other, ratio, goal, met = cells(figure)
    colour = {"met": "green", "not met": "bold red"}.get(met, "")
    console.print(
        f"{what:36} {ours:>26}   {baseline:34} {other:>26}   {ratio:>20}", highlight=False
    )
    if goal:
        console.print(f"{'':36}   {goal}  [{colour}]{met}[/]" if met else f"{'':39}{goal}")
