"""Screen of ``segstudio up``: start-up progress, then the warnings of all programs."""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from segstudio.local.demo_project import Advance
from segstudio.local.processes import Process

_FOLLOW_SECONDS = 0.25
_COLOURS = ("cyan", "magenta", "green", "yellow")
_ROUTINE = ("debug", "info")
_SHOWN_APART = ("level", "event", "timestamp", "exception")


class LogView:
    """Terminal, or a file without live displays.

    Args:
        console: Console to print on.
        uploading: Returns a context that shows the number of uploaded images.
    """

    def __init__(
        self, console: Console, uploading: Callable[[], AbstractContextManager[Advance]]
    ) -> None:
        self._console = console
        self.uploading = uploading

    def print(self, text: str, style: str = "") -> None:
        """Print text without breaking its lines."""
        self._console.print(Text(text, style), soft_wrap=True)

    async def wait(self, processes: Sequence[Process]) -> None:
        """Show each program with its address, until all are ready."""
        width = max(len(process.program.name) for process in processes)
        with Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
        ) as progress:

            async def one(process: Process) -> None:
                name, url = process.program.name, process.program.url
                line = progress.add_task(f"{name:<{width}}  {url or 'in the background'}", total=1)
                await process.until_ready()
                progress.advance(line)

            await asyncio.gather(*(one(process) for process in processes))

    async def follow(self, processes: Sequence[Process]) -> None:
        """Print warnings and errors of the programs, each line with the program's name, forever."""
        width = max(len(process.program.name) for process in processes)
        tails = [
            (Text(f"{process.program.name:>{width}} │ ", colour), _Tail(process))
            for process, colour in zip(processes, _COLOURS, strict=False)
        ]
        while True:
            for prefix, tail in tails:
                for line in tail.new_lines():
                    self._console.print(prefix + Text.from_ansi(line), soft_wrap=True)
            await asyncio.sleep(_FOLLOW_SECONDS)


class _Tail:
    """New lines in a program's log, without routine ones."""

    def __init__(self, process: Process) -> None:
        self._path = process.log
        self._chatter = process.program.chatter
        self._position = self._path.stat().st_size

    def new_lines(self) -> list[str]:
        with self._path.open("rb") as file:
            file.seek(self._position)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._position += len(whole) + len(newline)
        lines = whole.decode(errors="replace").splitlines()
        shown = (line for line in lines if not (self._chatter and self._chatter in line))
        return list(filter(None, map(readable, shown)))


def readable(line: str) -> str:
    """Return a line of a log as text for the screen; empty for a routine one.

    Args:
        line: JSON object with ``event`` and ``level``, or any other text, which is returned as is.
    """
    try:
        record = json.loads(line)
        level, event = record["level"], record["event"]
    except (ValueError, LookupError, TypeError):
        return line
    if level in _ROUTINE:
        return ""
    details = (f"{name}={value}" for name, value in record.items() if name not in _SHOWN_APART)
    return " ".join([f"{level}: {event}", *details])
