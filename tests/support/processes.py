"""A backend as it really runs: ``python -m``, gunicorn, a port."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.waiting import eventually


@dataclass(frozen=True)
class Backend:
    """A running backend, ready to predict."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def stop(self) -> int:
        """Ask it to end as an operator does; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


def free_port() -> int:
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """Ports of this machine that are free now, no two alike."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@contextmanager
def started_backend(package: str, folder: Path, **variables: str) -> Iterator[Backend]:
    """Start ``python -m package`` with settings, end it afterwards."""
    port = free_port()
    own = {"PORT": str(port), "HOST": "127.0.0.1", "IMAGE_CACHE_DIR": str(folder / "images")}
    log = folder / f"{package}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", package],
            env={**os.environ, **own, **variables},
            stdout=output,
            stderr=output,
        )
    backend = Backend(f"http://127.0.0.1:{port}", process, log)
    try:
        yield backend
    finally:
        if process.poll() is None:
            backend.stop()


@contextmanager
def running_backend(package: str, folder: Path, **variables: str) -> Iterator[Backend]:
    """Start a backend, wait until it is ready, end it afterwards."""
    with started_backend(package, folder, **variables) as backend:
        eventually(lambda: _is_ready(backend), 240)
        yield backend


def _is_ready(backend: Backend) -> bool:
    said = backend.log.read_text()[-2000:]
    assert backend.process.poll() is None, said
    try:
        answer = httpx.get(f"{backend.url}/readyz", timeout=120)
    except httpx.ConnectError:
        return False  # gunicorn does not listen yet
    assert answer.status_code == 200 or answer.json()["error"]["type"] == "busy", said
    return answer.status_code == 200
