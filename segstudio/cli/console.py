"""Output of all commands: lines, tables, progress bars, errors, JSON."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml_backend.errors import SegstudioError
from ml_backend.extras import explain_missing_extras
from segstudio.cli.options import EXIT_ERROR
from segstudio.cli.progress import Bar, Unit, show_bar

_Item = TypeVar("_Item")

_PIPE_WIDTH = 1000
"""Width of tables in pipes and files, where narrow columns would only break long values."""


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
        self.show(table)

    def show(self, table: Table) -> None:
        """Print a human-readable table with a look of its own."""
        if not self._as_json:
            self.console.print(table)

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Show that something without a known end is going on, if stderr is a terminal."""
        return self._err.status(text)

    @contextmanager
    def progress(
        self, description: str, total: int | None = None, unit: Unit = "items"
    ) -> Iterator[Bar]:
        """Show a progress bar while the body runs, if stderr is a terminal.

        Args:
            description: Name of the items that are counted.
            total: Number of items or bytes, if known.
            unit: Unit of the counts.
        """
        hidden = self._as_json or not self._err.is_terminal
        with show_bar(self._err, description, total, unit, hidden) as bar:
            yield bar

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
