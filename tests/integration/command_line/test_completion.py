"""Completion of commands and options, as installed in a real bash."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BASH = ("bash", "--norc", "-c")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A home folder in which ``segstudio --install-completion`` was run in bash."""
    home = tmp_path_factory.mktemp("home")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {**os.environ, "HOME": str(home), "PATH": path}
    script = "segstudio --install-completion; exit $?"
    subprocess.run([*BASH, script], env=variables, cwd=home, check=True, capture_output=True)
    assert ".bash_completions/segstudio.sh" in (home / ".bashrc").read_text()
    return variables


def complete(environment: dict[str, str], *words: str) -> set[str]:
    """What bash offers for the last word of a command line."""
    line = " ".join(f"'{word}'" for word in words)
    script = f"""
        source ~/.bash_completions/segstudio.sh
        complete -p segstudio | grep --quiet _segstudio_completion || exit 9
        COMP_WORDS=(segstudio {line}) COMP_CWORD={len(words)}
        _segstudio_completion segstudio
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run(
        [*BASH, script],
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


def test_commands_are_completed_but_hidden_ones(environment: dict[str, str]) -> None:
    assert complete(environment, "s") == {"serve", "storage"}
    assert complete(environment, "ex") == {"export"}


def test_commands_of_a_group_are_completed(environment: dict[str, str]) -> None:
    assert complete(environment, "backends", "") == {"connect", "status"}


def test_options_and_their_values_are_completed(environment: dict[str, str]) -> None:
    assert complete(environment, "export", "--ann") == {"--annotator"}
    assert complete(environment, "export", "--format", "c") == {"csv", "coco"}


def test_the_script_is_shown_for_those_who_install_it_themselves(
    environment: dict[str, str],
) -> None:
    shown = subprocess.run(
        [*BASH, "segstudio --show-completion; exit $?"],
        env=environment,
        cwd=environment["HOME"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installed = Path(environment["HOME"]) / ".bash_completions" / "segstudio.sh"
    assert shown.strip() == installed.read_text().strip()
