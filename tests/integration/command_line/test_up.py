"""``segstudio up`` where it cannot start: one line, exit 1, nothing left."""

import os
import socket
import subprocess
from pathlib import Path

from tests.support.processes import free_port
from tests.support.repository import ROOT
from tests.support.studio import SEGSTUDIO


def segstudio(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    ports = {
        name: str(free_port()) for name in ("LABEL_STUDIO_PORT", "SEGMENTATION_PORT", "SAM_PORT")
    }
    return subprocess.run(
        [SEGSTUDIO, *arguments],
        env={**os.environ, **ports, "STATE_DIR": str(folder / "state"), **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def only_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_a_taken_port_is_one_line_with_the_variable_that_moves_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        line = only_line(segstudio(tmp_path, "up", SAM_PORT=port))
        assert port in line
        assert "SAM_PORT" in line
        assert port in only_line(segstudio(tmp_path, "serve", SEGMENTATION_PORT=port))
        # `segstudio backends` alone is the earlier name of `segstudio serve`.
        assert port in only_line(segstudio(tmp_path, "backends", SEGMENTATION_PORT=port))
    assert not (tmp_path / "state").exists()


def test_a_port_that_is_no_number_is_one_line(tmp_path: Path) -> None:
    assert "SAM_PORT" in only_line(segstudio(tmp_path, "up", SAM_PORT="many"))


def test_a_folder_without_photographs_is_one_line(tmp_path: Path) -> None:
    assert str(tmp_path) in only_line(segstudio(tmp_path, "up", IMAGES=str(tmp_path)))


def test_label_studio_that_is_not_installed_ends_what_was_started(tmp_path: Path) -> None:
    result = segstudio(tmp_path, "up", LABEL_STUDIO_VENV=str(tmp_path / "none"))
    assert result.returncode == 1
    assert result.stderr.startswith("error: label-studio cannot be started")


def test_without_a_command_the_commands_are_listed(tmp_path: Path) -> None:
    result = segstudio(tmp_path)
    assert "up" in result.stdout
    assert "backends" in result.stdout
