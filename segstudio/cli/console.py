"""The manners that all commands share: words or JSON, tables, progress, errors, exit codes."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from ml_backend.errors import SegstudioError
from ml_backend.extras import explain_missing_extras

EXIT_ERROR = 1
EXIT_SOME_FAILED = 3
EXIT_CODES = (
    "Exit codes: 0 all done; 1 stopped by an error; 2 wrong usage; "
    "3 done, but some items failed or something is lacking (each is named); 130 interrupted."
)
"""Epilog of each group of commands."""

JsonOption = Annotated[
    bool, typer.Option("--json", help="For scripts: JSON on stdout, one object a line.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]
RetryOption = Annotated[
    float, typer.Option(min=0, help="How long a busy or unreachable bucket is asked again.")
]

ProjectOption = Annotated[
    int, typer.Option("--project", min=1, help="Number of the project, as in its address.")
]
SegmentationOption = Annotated[
    str,
    typer.Option(
        "--segmentation",
        help="Segmentation backend as Label Studio reaches it; default: that of `make up`.",
    ),
]
SamOption = Annotated[
    str,
    typer.Option("--sam", help="Sam backend as Label Studio reaches it; default: as above."),
]


class Report:
    """Where the outcome of a command goes.

    People get lines and tables on stdout, problems and progress on stderr. Programs
    (``as_json``) get JSON Lines on stdout: a record for each problem, then one of the outcome.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._out = Console()
        self._err = Console(stderr=True)

    def print(self, text: str, style: str = "") -> None:
        """Tell people something; it stays one line however narrow the terminal."""
        if not self._as_json:
            self._out.print(Text(text, style), soft_wrap=True)

    def error(self, text: str, record: Mapping[str, Any]) -> None:
        """Tell of one item that failed while the others go on."""
        if self._as_json:
            self._write(record)
        else:
            self._err.print(Text(text, "red"), soft_wrap=True)

    def result(self, record: Mapping[str, Any]) -> None:
        """Give programs the outcome; people are told with ``print`` and ``table``."""
        if self._as_json:
            self._write(record)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Show people a table."""
        table = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        if not self._as_json:
            self._out.print(table)

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Callable[[], None]]:
        """Show a bar with items per second, if stderr is a terminal, as long as the body runs.

        Args:
            what: The items, for people.
            total: How many there will be, if known.

        Yields:
            What tells the bar of one more item.
        """
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _ItemsPerSecond(),
            TimeRemainingColumn(),
        )
        hidden = self._as_json or not self._err.is_terminal
        with Progress(*columns, console=self._err, disable=hidden) as bar:
            line = bar.add_task(what, total=total)
            yield lambda: bar.advance(line)

    def fail(self, error: SegstudioError) -> None:
        """Tell why the command stopped."""
        if self._as_json:
            self._write(
                {"error": {"type": error.kind, "message": error.message, "hint": error.hint}}
            )
        else:
            self._err.print(Text(f"error: {error}", "bold red"), soft_wrap=True)

    def _write(self, record: Mapping[str, Any]) -> None:
        self._out.file.write(json.dumps(record) + "\n")
        self._out.file.flush()


class _ItemsPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / task.elapsed:.1f}/s" if task.elapsed else "", "dim")


@contextmanager
def reporting(as_json: bool) -> Iterator[Report]:
    """Run the body of a command: an error of ours becomes one line and exit code 1."""
    report = Report(as_json)
    try:
        with explain_missing_extras():
            yield report
    except SegstudioError as error:
        report.fail(error)
        raise typer.Exit(EXIT_ERROR) from None
