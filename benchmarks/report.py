"""What is printed while it is measured."""

import platform
from pathlib import Path

import torch
from rich.console import Console

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


def say(console: Console, figure: Figure) -> None:
    """Print one line."""
    what, ours, beside, other, ratio, goal, met = cells(figure)
    colour = {"met": "green", "not met": "bold red"}.get(met, "")
    console.print(f"{what:36} {ours:>26}   {beside:34} {other:>26}   {ratio:>20}", highlight=False)
    if goal:
        console.print(f"{'':36}   {goal}  [{colour}]{met}[/]" if met else f"{'':39}{goal}")
