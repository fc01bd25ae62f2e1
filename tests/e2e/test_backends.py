"""``make backends``: both backends alone."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.processes import free_ports
from tests.support.repository import ROOT
from tests.support.studio import SEGSTUDIO
from tests.support.waiting import alive, descendants, eventually

pytestmark = pytest.mark.timeout(600)

LOGIN = ("studio", "secret")


@pytest.fixture
def ports() -> dict[str, int]:
    return dict(zip(("SEGMENTATION_PORT", "SAM_PORT"), free_ports(2), strict=True))


@pytest.fixture
def backends(tmp_path: Path, ports: dict[str, int]) -> Iterator[subprocess.Popen[bytes]]:
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [SEGSTUDIO, "backends"],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "STATE_DIR": str(tmp_path),
                "BASIC_AUTH_USER": LOGIN[0],
                "BASIC_AUTH_PASS": LOGIN[1],
                **{name: str(port) for name, port in ports.items()},
            },
        )
    try:
        eventually(lambda: output.read_text().count("Ready: ") == 2, seconds=500)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_both_are_ready_and_when_one_dies_the_other_is_ended(
    backends: subprocess.Popen[bytes], ports: dict[str, int], tmp_path: Path
) -> None:
    for port in ports.values():
        health = f"http://127.0.0.1:{port}/health"
        assert httpx.get(health).status_code == 401
        assert httpx.get(health, auth=LOGIN).status_code == 200
    started = descendants(backends.pid)
    os.kill(started[0], signal.SIGKILL)
    assert backends.wait(timeout=30) == 1
    assert not [pid for pid in started if alive(pid)]
    last = (tmp_path / "output").read_text().splitlines()[-1]
    assert last.startswith("error: ")
    assert "ended by signal 9" in last
