"""Run programs in parallel: start, wait until ready, detect exits, stop them all."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from ml_backend.http_clients import async_http_client
from segstudio.errors import ProcessError

Result = TypeVar("Result")

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 600.0
_GRACE_SECONDS = 10.0
_TAIL_LINES = 15


@dataclass(frozen=True)
class Program:
    """Server to start.

    Attributes:
        name: Name on the screen and of the log file.
        command: Executable and arguments.
        environment: Complete environment variables.
        url: Address of the server, without a path.
        ready_path: Path that responds 200 once the program is ready; empty: it serves nothing, and
            is ready at once.
        chatter: Log lines that contain this text are only in the log file.
        login: User name and password of its basic auth.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    url: str
    ready_path: str
    chatter: str = ""
    login: tuple[str, str] | None = None


@dataclass(frozen=True, eq=False)
class Process:
    """Running program; its output goes to ``log``."""

    program: Program
    child: asyncio.subprocess.Process
    log: Path

    async def until_ready(self, patience: float = _PATIENCE_SECONDS) -> None:
        """Wait until the program is ready.

        Raises:
            ProcessError: It took longer than ``patience`` seconds, or the program reports that it
                never will be.
        """
        if not self.program.ready_path:
            return
        http = async_http_client(base_url=self.program.url, auth=self.program.login, timeout=2)
        try:
            async with asyncio.timeout(patience), http:
                while not await self._is_ready(http):
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise self.failed(f"is not ready after {patience:.0f} s") from None

    async def _is_ready(self, http: httpx.AsyncClient) -> bool:
        try:
            response = await http.get(self.program.ready_path)
        except httpx.HTTPError:
            return False
        if problem := _startup_error(response):
            raise self.failed(f"cannot start: {problem}")
        return response.is_success

    async def until_ended(self) -> None:
        """Wait until the program exits, which is always an error.

        Raises:
            ProcessError: The program exited; says how.
        """
        code = await self.child.wait()
        raise self.failed(f"ended by signal {-code}" if code < 0 else f"exited with code {code}")

    def failed(self, how: str) -> ProcessError:
        """Return an error that says how this program failed, with its last lines."""
        lines = self.log.read_text(errors="replace").splitlines()
        return ProcessError(
            f"{self.program.name} {how}", f"see {self.log}", "\n".join(lines[-_TAIL_LINES:])
        )

    def send(self, signal_number: int) -> None:
        """Send a signal to the program and all its child processes."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal_number)


@asynccontextmanager
async def running(
    programs: Sequence[Program], logs: Path, grace: float = _GRACE_SECONDS
) -> AsyncIterator[list[Process]]:
    """Start programs, each in its own session, and stop them all on leaving.

    The sessions keep the terminal's Ctrl-C from the programs, so that only this process gets it
    and stops them in order.

    Args:
        programs: Programs in starting order.
        logs: Folder for their output; log files are overwritten.
        grace: Seconds that they have to exit before they are killed.

    Raises:
        ProcessError: A program cannot be started.
    """
    logs.mkdir(parents=True, exist_ok=True)
    processes: list[Process] = []
    try:
        for program in programs:
            processes.append(await _start_program(program, logs / f"{program.name}.log"))
        yield processes
    finally:
        await _end_processes(processes, grace)


async def guarded(processes: Sequence[Process], work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work``, unless one of the processes exits first.

    Raises:
        ProcessError: A process exited.
    """
    task = asyncio.create_task(work)
    watchers = [asyncio.create_task(process.until_ended()) for process in processes]
    try:
        await asyncio.wait([task, *watchers], return_when=asyncio.FIRST_COMPLETED)
        for watcher in watchers:
            if watcher.done():
                await watcher
        return await task
    finally:
        for pending in (task, *watchers):
            pending.cancel()
        await asyncio.gather(task, *watchers, return_exceptions=True)


async def _start_program(program: Program, log: Path) -> Process:
    with log.open("wb") as output:
        try:
            child = await asyncio.create_subprocess_exec(
                *program.command,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise ProcessError(
                f"{program.name} cannot be started: {error.strerror}: {program.command[0]}",
                "run `make up`, which installs it",
            ) from None
    return Process(program, child, log)


async def _end_processes(processes: Sequence[Process], grace: float) -> None:
    """Stop each process and its children; another Ctrl-C does not interrupt this."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: None)
    for process in processes:
        process.send(signal.SIGTERM)
    ends = [asyncio.create_task(process.child.wait()) for process in processes]
    if ends:
        await asyncio.wait(ends, timeout=grace)
    for process in processes:
        process.send(signal.SIGKILL)
    await asyncio.gather(*ends)


def _startup_error(response: httpx.Response) -> str:
    """Return why a backend will never be ready; empty if it is ready or still loading."""
    if response.is_success:
        return ""
    try:
        error = response.json()["error"]
        return "" if error["type"] == "busy" else str(error["message"])
    except (ValueError, LookupError, TypeError):
        return ""
