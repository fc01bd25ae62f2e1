"""The Makefile where something is missing; the good way is how everybody gets here."""

import os
import pty
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh checkout, as far as the environments are concerned."""
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


def make(
    folder: Path,
    *arguments: str,
    path: str = os.environ["PATH"],
    stdin: int = subprocess.DEVNULL,
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """Run make outside CI, whoever runs the test."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith("MAKE")
    }
    return subprocess.run(
        [str(shutil.which("make")), *arguments],
        cwd=folder,
        env={**kept, **variables, "PATH": path},
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def fake_program(folder: Path, script: str) -> Path:
    path = folder / "fake-program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def fake_tools(folder: Path, scripts: dict[str, str]) -> str:
    """A PATH with these programs and no others."""
    tools = folder / "tools"
    tools.mkdir()
    for name, script in scripts.items():
        fake_program(tools, script).rename(tools / name)
    return str(tools)


def errors(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What the user reads, less the line that make itself adds."""
    assert result.returncode != 0
    return [line for line in result.stderr.splitlines() if not line.startswith("make: ***")]


def test_help_is_the_default_and_has_a_line_for_every_command(checkout: Path) -> None:
    listed = re.findall(r"^  make (\S+) +\S", make(checkout).stdout, re.MULTILINE)
    phony = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    steps = {"mypy", "ruff", "lint-imports", "codespell", "bandit"}
    needs = {"chromium", "data", "docker", "emulators", "npm", "redis-server"}
    commands = {name for line in phony for name in line.split()} - steps - needs
    assert set(listed) == commands
    assert {"up", "backends", "test", "lint", "help"} <= commands


def test_without_python_one_line_says_what_to_do(checkout: Path) -> None:
    (error,) = errors(make(checkout, "up", "PYTHON=no-such-python"))
    assert error.startswith("error: no no-such-python here")
    assert "PYTHON=" in error


def test_an_old_python_is_refused_in_one_line(checkout: Path) -> None:
    (error,) = errors(make(checkout, "up", f"PYTHON={fake_program(checkout, 'exit 1')}"))
    assert "older than Python 3.11" in error


def test_debians_python_without_venv_is_refused_with_the_package_to_install(checkout: Path) -> None:
    script = 'case "$2" in *ensurepip*) echo Traceback >&2; exit 1;; esac'
    (error,) = errors(make(checkout, "up", f"PYTHON={fake_program(checkout, script)}"))
    assert "apt-get install python3-venv" in error
    assert not (checkout / ".venv").exists()


@pytest.fixture
def asked(checkout: Path) -> Path:
    """What apt-get was asked for, a line each; missing where it was not."""
    return checkout / "asked"


@pytest.fixture
def without_packages(checkout: Path, asked: Path) -> str:
    """A PATH of root's without Debian's packages, where apt-get notes what it is asked for."""
    return fake_tools(checkout, {"id": "echo 0", "apt-get": f'echo "$*" >> {asked}'})


@pytest.mark.parametrize("package", ["chromium", "npm", "redis-server"])
def test_ci_gets_a_missing_debian_package_without_a_question(
    package: str, checkout: Path, asked: Path, without_packages: str
) -> None:
    assert make(checkout, package, path=without_packages, CI="true").returncode == 0
    update, install = asked.read_text().splitlines()
    assert update.startswith("update")
    assert install.endswith(package)


def test_outside_ci_and_without_a_terminal_the_command_is_told_and_nothing_installed(
    checkout: Path, asked: Path, without_packages: str
) -> None:
    (error,) = errors(make(checkout, "chromium", path=without_packages))
    assert "apt-get install chromium" in error
    assert not asked.exists()


@pytest.mark.parametrize(("answer", "installs"), [("y", True), ("n", False), ("", False)])
def test_who_sits_at_a_terminal_is_asked_before_a_debian_package_is_installed(
    answer: str, installs: bool, checkout: Path, asked: Path, without_packages: str
) -> None:
    ours, terminal = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        result = make(checkout, "chromium", path=without_packages, stdin=terminal)
    finally:
        os.close(terminal)
        os.close(ours)
    assert "Install it now" in result.stdout
    assert (result.returncode == 0, asked.exists()) == (installs, installs)


def test_others_are_told_what_to_ask_root_for(checkout: Path) -> None:
    tools = {"id": "echo 1000", "sudo": "exit 1", "apt-get": "echo never"}
    (error,) = errors(make(checkout, "chromium", path=fake_tools(checkout, tools), CI="true"))
    assert error.endswith("apt-get install chromium")


@pytest.mark.parametrize("program", ["train-segmentation", "train-interactive", "evaluate"])
def test_training_without_a_data_set_says_how_to_name_one(program: str, checkout: Path) -> None:
    (error,) = errors(make(checkout, program))
    assert "DATA=folder" in error
    assert not (checkout / ".venv").exists()


def test_without_a_docker_engine_its_tests_fail_and_say_so(checkout: Path) -> None:
    (error,) = errors(make(checkout, "docker", path=fake_tools(checkout, {"docker": "exit 1"})))
    assert "no Docker engine answers" in error


def test_docker_without_compose_is_refused_in_one_line(checkout: Path) -> None:
    tools = {"docker": 'test "$1" = version'}
    (error,) = errors(make(checkout, "docker", path=fake_tools(checkout, tools)))
    assert "docker has no compose" in error


def test_requirements_are_locked_with_hashes_and_without_index_addresses() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in re.sub(r"^ *#.*$", "", text, flags=re.MULTILINE)
        pins = re.findall(r"^\S+==\S+ \\$", text, re.MULTILINE)
        assert len(pins) > 0
        assert len(pins) == len(re.findall(r"^[a-z]", text, re.MULTILINE)), path
