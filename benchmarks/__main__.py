"""``python -m benchmarks``: measure, print the figures, write ``benchmarks/results``."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks import (
    batch,
    bulk,
    checkpoints,
    clicks,
    exports,
    formats,
    learner,
    memory,
    plots,
    report,
    soak,
    vit_b,
)
from benchmarks.measure import Figure
from benchmarks.results import Result, update_results, write_results
from ml_backend.serving.logs import configure_logging
from ml_backend.serving.settings import BackendSettings

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
DOCUMENTED = ROOT / "docs" / "benchmarks" / "results.csv"
PARTS = (
    *("clicks", "learner", "batch", "formats", "exports", "memory", "checkpoints", "vit_b"),
    *("soak", "bulk"),
)


def main(
    minutes: Annotated[float, typer.Option(help="Minutes that nine labelers work")] = 1,
    turns: Annotated[int, typer.Option(help="Pairs of each fast measurement")] = 40,
    only: Annotated[str, typer.Option(help=f"Comma-separated parts: {', '.join(PARTS)}")] = "",
    docs: Annotated[
        bool,
        typer.Option(help="Replace the rows of the parts that ran in docs/benchmarks/results.csv."),
    ] = False,
) -> None:
    """Compare this project with the models alone and with a plain design."""
    asked = only.split(",") if only else PARTS
    if unknown := set(asked) - set(PARTS):
        raise typer.BadParameter(f"{', '.join(unknown)}; there are {', '.join(PARTS)}")
    torch.set_num_threads(BackendSettings().compute_threads)  # as the backends do
    configure_logging("ERROR")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    RESULTS.mkdir(exist_ok=True)
    console = Console(width=170)
    machine, date = report.machine(), datetime.now(UTC).date().isoformat()
    console.print(machine, highlight=False)
    results: list[Result] = []
    with report.progress_bar(console) as progress:
        for part in progress.track(asked, description="parts"):
            for figure in _measured(part, minutes, turns):
                report.say(console, figure)
                results.append(Result(part, figure, date, machine))
    _write(results, "" if not only else "-" + "-".join(asked), docs)
    if any(result.figure.met is False for result in results):
        raise typer.Exit(3)


def _measured(part: str, minutes: float, turns: int) -> Iterator[Figure]:
    """Yield the figures of a part, measured in a temporary folder."""
    few = max(turns // 5, 3)
    with tempfile.TemporaryDirectory(prefix="segstudio-bench-") as name:
        folder = Path(name)
        parts: dict[str, Callable[[], Iterator[Figure]]] = {
            "clicks": lambda: clicks.measure(folder, turns),
            "learner": lambda: learner.measure(folder, turns),
            "batch": lambda: batch.measure(folder, few),
            "formats": formats.measure,
            "exports": lambda: exports.measure(folder),
            "memory": lambda: memory.measure(folder),
            "checkpoints": lambda: checkpoints.measure(folder, few),
            "vit_b": lambda: vit_b.measure(folder, few),
            "soak": lambda: soak.measure(folder, minutes, RESULTS),
            "bulk": lambda: bulk.measure(folder, 3),
        }
        yield from parts[part]()


def _write(results: list[Result], suffix: str, docs: bool) -> None:
    write_results(RESULTS / f"bench{suffix}.csv", results)
    plots.draw(RESULTS / f"bench{suffix}.png", [result.figure for result in results])
    if docs:
        update_results(DOCUMENTED, results)


if __name__ == "__main__":
    typer.run(main)
