"""What the user sees: progress, the ready line, and the programs' logs side by side."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from segstudio.local.demo_project import Advance
from segstudio.local.processes import Process

_FOLLOW_SECONDS = 0.25
_COLOURS = ("cyan", "magenta", "green", "yellow")


class LogView:
    """The terminal, or the file that stands in for it (then without live displays).

    Args:
        console: Console to print on.
        uploading: Shows how many images are in Label Studio while its body runs.
    """

    def __init__(
        self, console: Console, uploading: Callable[[], AbstractContextManager[Advance]]
    ) -> None:
        self._console = console
        self.uploading = uploading

    def print(self, text: str, style: str = "") -> None:
        """Print, one line a line, however narrow the terminal."""
        self._console.print(Text(text, style), soft_wrap=True)

    async def wait(self, processes: Sequence[Process]) -> None:
        """Show who is not ready yet, until all are."""
        with Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
        ) as progress:

            async def one(process: Process) -> None:
                line = progress.add_task(process.program.name, total=1)
                await process.until_ready()
                progress.advance(line)

            await asyncio.gather(*(one(process) for process in processes))

    async def follow(self, processes: Sequence[Process]) -> None:
        """Print what the programs write, each line with its program's name, for ever."""
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
    """The lines that a program writes from now on, less its chatter."""

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
        return [line for line in lines if not (self._chatter and self._chatter in line)]
