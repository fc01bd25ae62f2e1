"""``make audit``: what it says where the database knows something, nothing, or cannot be asked."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_server import Reply, Request, Server
from tests.support.repository import ROOT

SCRIPT = ROOT / ".ci" / "audit.py"
VULNERABILITY = {
    "id": "PYSEC-1",
    "summary": "It lets everybody in.",
    "affected": [{"package": {"name": "leaky", "ecosystem": "PyPI"}, "ranges": []}],
}


@pytest.fixture
def database() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    digest = hashlib.sha256().hexdigest()
    path.write_text("".join(f"{n}==1.0 --hash=sha256:{digest}\n" for n in ("leaky", "sound")))
    return path


def knows(*names: str) -> Any:
    def answer(request: Request) -> Reply:
        name = json.loads(request.body)["package"]["name"]
        return Reply(body=json.dumps({"vulns": [VULNERABILITY]} if name in names else {}).encode())

    return answer


def audit(url: str, requirements: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(requirements)],
        env={"OSV_URL": f"{url}/query", "HOME": str(requirements.parent)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_vulnerable_requirement_is_an_error_and_named(
    database: Server, requirements: Path
) -> None:
    database.replies["/query"] = knows("jinja2", "leaky")
    result = audit(database.url, requirements)
    assert result.returncode == 1
    assert "leaky" in result.stdout
    assert "PYSEC-1" in result.stdout
    assert "sound" not in result.stdout


def test_sound_requirements_are_said_to_be_sound(database: Server, requirements: Path) -> None:
    database.replies["/query"] = knows("jinja2")
    result = audit(database.url, requirements)
    assert result.returncode == 0
    assert "No known vulnerabilities found" in result.stderr
    assert len(database.requests) == 3


@pytest.mark.parametrize("reply", [Reply(404), Reply(500), Reply(body=b"<html>"), knows()])
def test_a_database_that_knows_nothing_is_no_clean_bill(
    reply: Any, database: Server, requirements: Path
) -> None:
    database.replies["/query"] = reply
    result = audit(database.url, requirements)
    assert result.returncode == 0
    assert "NOT AUDITED" in result.stderr
    assert "No known vulnerabilities" not in result.stderr


def test_no_network_is_said_and_no_error(requirements: Path) -> None:
    result = audit("http://127.0.0.1:9", requirements)
    assert result.returncode == 0
    assert "NOT AUDITED" in result.stderr
