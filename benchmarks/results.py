"""Measured figures as CSV and as Markdown: a file for each run, and one for the documentation."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.measure import Figure, Spread

HEADER = ("what", "this project", "compared with", "", "ratio", "goal", "")
_SPREADS = ("ours", "other", "ratio")
_COLUMNS = (
    *("part", "what", "unit"),
    *(f"{name}_{part}" for name in _SPREADS for part in ("median", "low", "high")),
    *("baseline", "goal", "met", "date", "machine"),
)
_MET = {"": None, "True": True, "False": False}


@dataclass(frozen=True)
class Result:
    """A figure with its circumstances.

    Attributes:
        part: Part of the benchmark, as in ``--only``.
        figure: Measured figure.
        date: Day of the measurement, in ISO format.
        machine: Processor, cores and versions.
    """

    part: str
    figure: Figure
    date: str
    machine: str

    @classmethod
    def read(cls, row: dict[str, str]) -> Self:
        """Return the result in a row of the CSV file."""
        ours, other, ratio = (_spread(row, name) for name in _SPREADS)
        figure = Figure(
            name=row["what"],
            unit=row["unit"],
            ours=Spread(*map(float, ours)),
            baseline=row["baseline"],
            other=Spread(*map(float, other)) if other[0] else None,
            ratio=Spread(*map(float, ratio)) if ratio[0] else None,
            goal=row["goal"],
            met=_MET[row["met"]],
        )
        return cls(row["part"], figure, row["date"], row["machine"])

    def row(self) -> list[str]:
        """Return the row of the CSV file; absent values are empty."""
        figure = self.figure
        spreads = (figure.ours, figure.other, figure.ratio)
        numbers = [number for spread in spreads for number in _numbers(spread)]
        met = "" if figure.met is None else str(figure.met)
        around = (figure.baseline, figure.goal, met, self.date, self.machine)
        return [self.part, figure.name, figure.unit, *numbers, *around]


def read_results(path: Path) -> list[Result]:
    """Read a CSV file of results."""
    with path.open(newline="", encoding="utf-8") as file:
        return [Result.read(row) for row in csv.DictReader(file)]


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write a CSV file of results, a row each."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(result.row() for result in results)


def update_results(path: Path, results: Sequence[Result]) -> None:
    """Replace the rows of the parts that were measured, and keep those of the others."""
    measured = {result.part for result in results}
    kept = [result for result in read_results(path) if result.part not in measured]
    write_results(path, [*kept, *results])


def markdown(results: Iterable[Result]) -> str:
    """Return a table."""
    rows = [HEADER, ("---",) * len(HEADER), *(cells(result.figure) for result in results)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def cells(figure: Figure) -> tuple[str, ...]:
    """Return the cells of a figure's row."""
    met = {None: "", True: "met", False: "not met"}[figure.met]
    ours = _text(figure.ours, figure.unit)
    other, ratio = _text(figure.other, figure.unit), _text(figure.ratio, "")
    return (figure.name, ours, figure.baseline, other, ratio, figure.goal, met)


def _text(spread: Spread | None, unit: str) -> str:
    """Return three significant digits, with quartiles if there were several measurements."""
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


def _spread(row: dict[str, str], name: str) -> list[str]:
    """Return the cells of median and quartiles."""
    return [row[f"{name}_{part}"] for part in ("median", "low", "high")]
