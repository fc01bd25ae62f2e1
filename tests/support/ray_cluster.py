"""A Ray cluster of one machine, which drivers join and leave."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.waiting import descendants, eventually

ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # with other load, workers would starve
    "PYTHONPATH": str(ROOT),
}
"""For Ray and whoever joins it."""

_RAY = Path(sys.executable).with_name("ray")
TOO_BUSY = "timed out during startup"
"""What Ray says where a machine is too busy for it (the README tells of it); it may come then."""

STARTS = 3


@dataclass(frozen=True)
class Ray:
    """A running cluster."""

    address: str
    process: subprocess.Popen[bytes]

    def workers(self) -> list[int]:
        """Process ids of those that work on a stage just now."""
        return [pid for pid in descendants(self.process.pid) if _is_stage(pid)]


def _is_stage(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::Map")
    except OSError:
        return False  # it has just ended


@contextmanager
def running_ray(**variables: str) -> Iterator[Ray]:
    """Start one with two processors; it and all that it started end with the body.

    Args:
        variables: Environment of its workers, in addition to this process's own.
    """
    folder = Path(tempfile.mkdtemp(prefix="ray"))  # a short path: Ray's sockets are below
    started: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(STARTS):
            address = f"127.0.0.1:{free_port()}"
            started.append(_start(address, folder, variables))
            if _is_up(started[-1], folder):
                break
        assert started[-1].poll() is None, _said(folder)
        yield Ray(address, started[-1])
    finally:
        for process in started:
            for pid in (*descendants(process.pid), process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _start(address: str, folder: Path, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    options = {
        "port": address.rpartition(":")[2],
        "node-ip-address": "127.0.0.1",
        "num-cpus": 2,
        "object-store-memory": 300_000_000,
        "include-dashboard": "false",
        "temp-dir": folder,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    with (folder / "output").open("wb") as output:
        return subprocess.Popen(
            [_RAY, "start", "--head", "--block", "--disable-usage-stats", *words],
            env={**os.environ, **ENVIRONMENT, **variables},
            stdout=output,
            stderr=output,
        )


def _is_up(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Wait for it; False where the machine was too busy for it."""
    eventually(
        lambda: "ray.init" in _said(folder) or process.poll() is not None,
        seconds=150,
    )
    assert process.poll() is None or TOO_BUSY in _said(folder), _said(folder)[-2000:]
    return process.poll() is None


def _said(folder: Path) -> str:
    return (folder / "output").read_text()
