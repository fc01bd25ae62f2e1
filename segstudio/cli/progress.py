"""Progress bars."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

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
from rich.text import Text

Unit = Literal["items", "bytes"]


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


@contextmanager
def show_bar(
    console: Console, description: str, total: int | None, unit: Unit, hidden: bool
) -> Iterator[Bar]:
    """Show a progress bar while the body runs; arguments as in ``Report.progress``."""
    counts = {
        "items": (MofNCompleteColumn(), _ItemsPerSecond()),
        "bytes": (DownloadColumn(), TransferSpeedColumn()),
    }
    name, bar, left = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    with Progress(name, bar, *counts[unit], left, console=console, disable=hidden) as progress:
        yield Bar(progress, progress.add_task(description, total=total))


class _ItemsPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        if not (task.completed and task.elapsed):
            return Text("")
        rate = task.completed / task.elapsed
        return Text(f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each", "dim")
