"""One Ray for all tests: a cluster of one machine, which drivers join and leave."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from segstudio.bulk import cluster
from tests.processes import free_port
from tests.segstudio.conftest import run as run
from tests.segstudio.gcs_server import GcsServer, Key
from tests.waiting import descendants, eventually

ROOT = Path(__file__).parents[2]
_RAY = Path(sys.executable).with_name("ray")


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


@pytest.fixture(scope="package")
def cloud() -> Iterator[GcsServer]:
    """The Google Cloud Storage that Ray's workers use."""
    server = GcsServer(Key())
    yield server
    server.stop()


@pytest.fixture(scope="package")
def environment(cloud: GcsServer) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # beside much else, workers would starve
        patch.setenv("PYTHONPATH", str(ROOT))
        for name, value in cloud.variables.items():
            patch.setenv(name, value)
        yield patch


@pytest.fixture(scope="package")
def ray(environment: pytest.MonkeyPatch) -> Iterator[Ray]:
    port = free_port()
    address = f"127.0.0.1:{port}"
    folder = tempfile.mkdtemp(prefix="ray")  # a short path: Ray's sockets are below
    options = {
        "port": port,
        "node-ip-address": "127.0.0.1",
        "num-cpus": 2,
        "object-store-memory": 300_000_000,
        "include-dashboard": "false",
        "temp-dir": folder,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    log = Path(folder) / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [_RAY, "start", "--head", "--block", "--disable-usage-stats", *words],
            stdout=output,
            stderr=output,
        )
    try:
        eventually(lambda: "ray.init" in log.read_text() or process.poll() is not None, seconds=90)
        assert process.poll() is None, log.read_text()[-2000:]
        environment.setenv("RAY_ADDRESS", address)
        yield Ray(address, process)
    finally:
        for pid in (*descendants(process.pid), process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def joined(ray: Ray) -> Iterator[Ray]:
    """Be a driver of the cluster as long as a module's tests run."""
    with ExitStack() as stack:
        stack.enter_context(cluster.joined(ray.address))
        yield ray
