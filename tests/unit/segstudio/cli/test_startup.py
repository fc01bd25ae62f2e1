"""``segstudio --help`` starts at once, and lists what the command modules say themselves."""

import subprocess
import sys
from pathlib import Path

import pytest

import segstudio.cli
from segstudio.cli.lazy import LazyCommand
from segstudio.cli.main import COMMANDS
from tests.support.command_line import Run

HEAVY = {"torch", "cv2", "pyarrow", "google.cloud", "ray", "numpy", "httpx", "pydantic"}
LIGHT = {"main", "lazy"}
"""Modules of ``segstudio.cli`` that the list of commands needs."""

PRINT_MODULES = """
import sys
from segstudio.cli.main import run
sys.argv = ["segstudio", *sys.argv[1:]]
try:
    run()
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules, sep="\\n", file=sys.stderr)
"""


def modules_after(*arguments: str) -> set[str]:
    """Names of the modules that a run of ``segstudio`` has imported at its end."""
    result = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stderr.splitlines())


def test_the_help_imports_no_command_and_nothing_heavy() -> None:
    modules = modules_after("--help")
    files = Path(segstudio.cli.__file__).parent.glob("*.py")
    commands = {f"segstudio.cli.{path.stem}" for path in files} - {
        f"segstudio.cli.{name}" for name in LIGHT
    }
    assert "segstudio.cli.predict" in commands
    assert modules & (HEAVY | commands) == set()


def test_a_command_imports_its_own_module_and_no_other_command() -> None:
    modules = modules_after("credentials", "--help")
    assert "segstudio.cli.credentials" in modules
    assert {"segstudio.cli.predict", "segstudio.cli.export", "torch", "ray"} & modules == set()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_the_summary_of_a_command_is_the_first_line_of_its_own_help(
    command: LazyCommand, run: Run
) -> None:
    assert command.help == str(command.load().help).splitlines()[0]
    result = run(command.name, "--help")
    assert result.exit_code == 0
    assert f"Usage: root {command.name} " in result.stdout
    assert "Exit codes:" in result.stdout


def test_the_list_has_every_command_but_hidden_ones(run: Run) -> None:
    listed = run("--help").stdout
    for command in COMMANDS:
        assert (f"│ {command.name} " in listed) is not command.hidden


def test_a_wrong_command_is_wrong_usage_and_a_similar_one_is_suggested(run: Run) -> None:
    result = run("exprot")
    assert result.exit_code == 2
    assert "No such command 'exprot'. Did you mean" in result.stderr
    assert "'export'" in result.stderr
