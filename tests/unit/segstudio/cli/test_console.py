"""Errors of commands and lines of logs, as they are shown."""

import json

import pytest
import typer

from ml_backend.errors import SegstudioError
from segstudio.cli.console import reporting
from segstudio.local.log_view import readable


def test_an_error_is_one_line_with_its_fix(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), reporting():
        raise SegstudioError(f"the folder {'x' * 200} is empty", "add images to it")
    assert capsys.readouterr().err == f"error: the folder {'x' * 200} is empty (add images to it)\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (json.dumps({"event": "ready", "level": "info"}), ""),
        (
            json.dumps({"task": 7, "event": "task_failed", "level": "warning", "timestamp": "t"}),
            "warning: task_failed task=7",
        ),
        ("Traceback (most recent call last):", "Traceback (most recent call last):"),
        ("[1, 2]", "[1, 2]"),
        ('{"a": 1}', '{"a": 1}'),
    ],
)
def test_the_screen_of_up_shows_warnings_as_text(line: str, shown: str) -> None:
    assert readable(line) == shown
