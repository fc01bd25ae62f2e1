"""Programs that run beside each other: start, wait until ready, notice an end, end them all."""

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
    """A server to be started.

    Attributes:
        name: For people and for the log file.
        command: The executable and its arguments.
        environment: All of its variables.
        url: Where it listens, without a path.
        ready_path: Answers 200 once the program can be used; empty: it serves nothing, and is
            ready at once.
        chatter: Log lines with this text stay in the log file.
        login: Name and password that it asks for with basic auth.
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
    """A program at work; what it writes goes to ``log``."""

    program: Program
    child: asyncio.subprocess.Process
    log: Path

    async def until_ready(self, patience: float = _PATIENCE_SECONDS) -> None:
        """Wait for the program's first 200.

        Raises:
            ProcessError: It took longer than ``patience`` seconds, or the program says that it
                never will be ready.
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
            raise self.failed(f"cannot get ready: {problem}")
        return response.is_success

    async def until_ended(self) -> None:
        """Wait for the program's end, which is always an error.

        Raises:
            ProcessError: It ended; says how.
        """
        code = await self.child.wait()
        raise self.failed(f"ended by signal {-code}" if code < 0 else f"ended with code {code}")

    def failed(self, how: str) -> ProcessError:
        """The error that tells how this program failed, with its last lines."""
        lines = self.log.read_text(errors="replace").splitlines()
        return ProcessError(
            f"{self.program.name} {how}", f"see {self.log}", "\n".join(lines[-_TAIL_LINES:])
        )

    def send(self, signal_number: int) -> None:
        """Send a signal to the program and all it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal_number)


@asynccontextmanager
async def running(
    programs: Sequence[Program], logs: Path, grace: float = _GRACE_SECONDS
) -> AsyncIterator[list[Process]]:
    """Start programs, each in a session of its own, and end them all on leaving.

    A session of its own keeps the terminal's Ctrl-C away from them: only we get it, and end them in
    good order.

    Args:
        programs: In the order of their start.
        logs: Folder for what they write; made anew on each start.
        grace: Seconds that they have to end by themselves.

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
    """Do ``work``, unless one of the processes ends first.

    Raises:
        ProcessError: A process ended.
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
    """End each process and all it started; a further Ctrl-C does not get in the way."""
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
    """Return why a backend will never be ready; empty where it is ready, or still loading."""
    if response.is_success:
        return ""
    try:
        error = response.json()["error"]
        return "" if error["type"] == "busy" else str(error["message"])
    except (ValueError, LookupError, TypeError):
        return ""
