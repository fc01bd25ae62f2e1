"""A backend as it really runs: ``python -m``, gunicorn, a port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx


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
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


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
        _wait_until_ready(backend)
        yield backend


def _wait_until_ready(backend: Backend) -> None:
    give_up = time.monotonic() + 240
    while backend.process.poll() is None and time.monotonic() < give_up:
        try:
            answer = httpx.get(f"{backend.url}/readyz", timeout=120)
        except httpx.ConnectError:
            continue  # gunicorn does not listen yet
        if answer.status_code == 200:
            return
        if answer.json()["error"]["type"] != "busy":
            break
    raise AssertionError(backend.log.read_text()[-2000:])
