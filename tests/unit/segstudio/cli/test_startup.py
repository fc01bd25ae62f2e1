"""``segstudio --help`` lists what the command modules say themselves."""

import pytest

from segstudio.cli.lazy import LazyCommand
from segstudio.cli.main import COMMANDS
from tests.support.command_line import Run


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
