"""The command line in this process: how tests call it and read what it printed."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from typer.testing import Result

Run = Callable[..., Result]
"""Runs ``segstudio`` with the arguments: the fixture ``run``."""


def records(result: Result) -> list[dict[str, Any]]:
    """What a command with ``--json`` wrote."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def use_key(monkeypatch: pytest.MonkeyPatch, fields: Mapping[str, object]) -> None:
    line = base64.b64encode(json.dumps(fields).encode()).decode()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS_BASE64", line)
