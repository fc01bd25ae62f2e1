"""Output of all commands: lines, tables, progress bars, errors, JSON."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from ml_backend.errors import SegstudioError
from ml_backend.extras import explain_missing_extras
from segstudio.checks import CheckResult, Status
from segstudio.cli.options import EXIT_ERROR

_Item = TypeVar("_Item")

_MARKS: Mapping[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "changed": ("✓ new", "green"),
    "planned": ("to do", ""),
    "unknown": ("-", "dim"),
    "note": ("note:", ""),
    "warning": ("warning:", "yellow"),
    "error": ("✗", "red"),
}

_PIPE_WIDTH = 1000
"""Width of tables in pipes and files, where narrow columns would only break long values."""


@dataclass(frozen=True)
class Bar:
    """Progress bar of one task; invisible if stderr is not a terminal."""

    _progress: Progress
    _task: TaskID

    def advance(self) -> None:
        """Count one item as done."""
        self._progress.advance(self._task)

    def update(self, done: int, total: int, description: str | None = None) -> None:
        """Set the number of items or bytes done and in total.

        A new description begins a new step, whose rate and time left are measured from then on.
        """
        if description not in (None, self._progress.tasks[0].description):
            self._progress.reset(self._task, description=description)
        self._progress.update(self._task, completed=done, total=total)


class Report:
    """Output of a command.

    By default, results are lines and tables on stdout, problems and progress are on stderr.
    With ``as_json``, stdout gets JSON Lines: a record for each problem, then one of the result.

    Attributes:
        console: Console on stdout, for displays that this class does not offer.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
        self.console = Console(width=_PIPE_WIDTH if wide else None)
        self._err = Console(stderr=True, quiet=as_json)

    def print(self, text: str, style: str = "") -> None:
        """Print human-readable text, without breaking its lines; does nothing with ``as_json``."""
        if not self._as_json:
            self.console.print(Text(text, style), soft_wrap=True)

    def warn(self, text: str, style: str = "yellow") -> None:
        """Print human-readable text on stderr, above any progress bar; not with ``as_json``."""
        self._err.print(Text(text, style), soft_wrap=True)

    def error(self, text: str, record: Mapping[str, Any]) -> None:
        """Report a failed item; the command continues."""
        self.result(record)
        self.warn(text, "red")

    def result(self, record: Mapping[str, Any]) -> None:
        """Write a record of the machine-readable output; does nothing without ``as_json``."""
        if self._as_json:
            self.console.file.write(json.dumps(record) + "\n")
            self.console.file.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a human-readable table."""
        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        if not self._as_json:
            self.console.print(table)

    def checks(self, results: Iterable[CheckResult]) -> list[CheckResult]:
        """Print results of checks as they arrive, each group followed by its fix; return them."""
        found: list[CheckResult] = []
        for fix, group in groupby(results, key=lambda result: result.fix):
            for result in group:
                found.append(result)
                mark, style = _MARKS[result.status]
                line = f"line {result.line}: " if result.line else ""
                self.print(f"{mark} {line + result.subject:<28} {result.detail}", style)
            for line in fix.splitlines():
                self.print(f"    → {line}")
        return found

    def check_table(self, results: Iterable[CheckResult]) -> list[CheckResult]:
        """Print results of checks as a table, followed by the fix of each; return them."""
        with self._err.status("Checking"):
            found = list(results)
        table = Table("", "check", "result", box=box.SIMPLE_HEAD, pad_edge=False)
        for result in found:
            table.add_row(Text(*_MARKS[result.status]), Text(result.subject), Text(result.detail))
        if not self._as_json:
            self.console.print(table)
        failed = [result for result in found if result.fix]
        if failed:
            self.print("To fix:", "bold")
        for fix, group in groupby(failed, key=lambda result: result.fix):
            subjects = ", ".join(result.subject for result in group)
            first, *further = fix.splitlines()
            self.print(f"  {subjects}: {first}")
            for line in further:
                self.print(f"    {line}")
        return found

    @contextmanager
    def progress(
        self, description: str, total: int | None = None, unit: Literal["items", "bytes"] = "items"
    ) -> Iterator[Bar]:
        """Show a progress bar while the body runs, if stderr is a terminal.

        Args:
            description: Name of the items that are counted.
            total: Number of items or bytes, if known.
            unit: Unit of the counts.
        """
        counts = {
            "items": (MofNCompleteColumn(), _ItemsPerSecond()),
            "bytes": (DownloadColumn(), TransferSpeedColumn()),
        }
        name, bar, left = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        hidden = self._as_json or not self._err.is_terminal
        with Progress(
            name, bar, *counts[unit], left, console=self._err, disable=hidden
        ) as progress:
            yield Bar(progress, progress.add_task(description, total=total))

    def track(
        self, items: Iterable[_Item], description: str, total: int | None = None
    ) -> Iterator[_Item]:
        """Yield items, and show a progress bar that counts those already processed."""
        with self.progress(description, total) as bar:
            for item in items:
                yield item
                bar.advance()

    def fail(self, error: SegstudioError) -> None:
        """Report the error that stopped the command."""
        self.result({"error": {"type": error.kind, "message": error.message, "hint": error.hint}})
        self.warn(f"error: {error}", "bold red")


def check_record(result: CheckResult) -> dict[str, str]:
    """Return the JSON record of a check."""
    state = "bad" if result.status == "error" else result.status
    return {"what": result.subject, "state": state, "told": result.detail, "fix": result.fix}


def finding_record(result: CheckResult) -> dict[str, str | int]:
    """Return the JSON record of a finding about a label config."""
    return {
        "level": result.status,
        "line": result.line,
        "where": result.subject,
        "problem": result.detail,
        "fix": result.fix,
    }


class _ItemsPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        if not (task.completed and task.elapsed):
            return Text("")
        rate = task.completed / task.elapsed
        return Text(f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each", "dim")


@contextmanager
def reporting(as_json: bool = False) -> Iterator[Report]:
    """Run the body of a command: a ``SegstudioError`` becomes one line and exit code 1."""
    report = Report(as_json)
    try:
        with explain_missing_extras():
            yield report
    except SegstudioError as error:
        report.fail(error)
        raise typer.Exit(EXIT_ERROR) from None
