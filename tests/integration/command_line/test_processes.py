import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from segstudio.errors import ProcessError
from segstudio.local.processes import Process, Program, guarded, running
from tests.support.processes import free_port
from tests.support.waiting import eventually, members

Work = Callable[[Sequence[Process]], Coroutine[Any, Any, None]]

SERVER = """
import http.server, os, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({status}); self.end_headers()
        self.wfile.write(b'{body}')
subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])
http.server.HTTPServer(('127.0.0.1', {port}), Handler).serve_forever()
"""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('here', flush=True)
while True: signal.pause()
"""
BREAKS = "import sys; print('loading'); sys.exit('no such file')"


def program(name: str, code: str, port: int = 0) -> Program:
    return Program(
        name, (sys.executable, "-c", code), os.environ, f"http://127.0.0.1:{port}", "/ready"
    )


def server(port: int, status: int = 200, body: str = "{}") -> Program:
    return program("server", SERVER.format(port=port, status=status, body=body), port)


def run(logs: Path, programs: Sequence[Program], work: Work, grace: float = 10) -> list[Process]:
    """Run programs while ``work`` goes on; they must be gone afterwards, whatever happens."""
    seen: list[Process] = []

    async def main() -> None:
        try:
            async with running(programs, logs, grace) as processes:
                seen.extend(processes)
                await guarded(processes, work(processes))
        finally:
            eventually(lambda: not any(members(process.child.pid) for process in seen))

    asyncio.run(main())
    return seen


async def until_ready(processes: Sequence[Process]) -> None:
    for process in processes:
        await process.until_ready(patience=20)


def test_a_server_gets_ready_and_is_ended_with_its_children(tmp_path: Path) -> None:
    seen = run(tmp_path, [server(free_port())], until_ready)
    assert len(seen) == 1


def test_a_program_that_ends_while_we_wait_is_named_with_its_last_lines(tmp_path: Path) -> None:
    programs = [server(free_port()), program("broken", BREAKS)]
    with pytest.raises(ProcessError, match="broken exited with code 1") as error:
        run(tmp_path, programs, until_ready)
    assert error.value.log_tail == "loading\nno such file"


def test_a_program_that_never_gets_ready_is_given_up(tmp_path: Path) -> None:
    async def impatient(processes: Sequence[Process]) -> None:
        await processes[0].until_ready(patience=0.5)

    busy = server(free_port(), 503, '{"error": {"type": "busy", "message": "loading"}}')
    with pytest.raises(ProcessError, match="server is not ready after 0 s"):
        run(tmp_path, [busy], impatient)


def test_an_answer_that_is_no_json_is_one_of_a_program_that_is_not_ready_yet(
    tmp_path: Path,
) -> None:
    async def impatient(processes: Sequence[Process]) -> None:
        await processes[0].until_ready(patience=2)

    with pytest.raises(ProcessError, match="server is not ready"):
        run(tmp_path, [server(free_port(), 502, "<html>")], impatient)


def test_a_program_that_says_it_cannot_get_ready_is_not_waited_for(tmp_path: Path) -> None:
    broken = server(free_port(), 503, '{"error": {"type": "model", "message": "no weights"}}')
    with pytest.raises(ProcessError, match="server cannot start: no weights"):
        run(tmp_path, [broken], until_ready)


def test_a_program_that_does_not_listen_is_killed_after_the_grace(tmp_path: Path) -> None:
    async def until_deaf(processes: Sequence[Process]) -> None:
        while not processes[0].log.read_text():
            await asyncio.sleep(0.02)

    begun = time.monotonic()
    run(tmp_path, [program("stubborn", STUBBORN)], until_deaf, grace=0.3)
    assert time.monotonic() - begun < 5


def test_a_program_killed_by_someone_else_is_noticed(tmp_path: Path) -> None:
    async def kill(processes: Sequence[Process]) -> None:
        processes[0].send(9)
        await asyncio.sleep(60)

    with pytest.raises(ProcessError, match="server ended by signal 9"):
        run(tmp_path, [server(free_port())], kill)


def test_an_error_of_ours_ends_the_programs_too(tmp_path: Path) -> None:
    async def fail(processes: Sequence[Process]) -> None:
        raise ProcessError("ours")

    with pytest.raises(ProcessError, match="ours"):
        run(tmp_path, [server(free_port())], fail)


def test_the_terminals_ctrl_c_does_not_reach_the_programs(tmp_path: Path) -> None:
    sessions: list[bool] = []

    async def look(processes: Sequence[Process]) -> None:
        sessions.append(os.getsid(processes[0].child.pid) != os.getsid(0))

    run(tmp_path, [server(free_port())], look)
    assert sessions == [True]


def test_a_program_that_is_not_installed_is_named_with_the_way_out(tmp_path: Path) -> None:
    missing = Program("label-studio", (str(tmp_path / "none"),), {}, "http://127.0.0.1:1", "/")
    with pytest.raises(ProcessError, match=r"label-studio cannot be started.*make up"):
        run(tmp_path, [server(free_port()), missing], until_ready)
