"""What ``make`` installs, and where."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.repository import ROOT


def plan(folder: Path, target: str, **variables: str) -> str:
    """What ``make`` would do in a folder."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "requirements").mkdir()
    for name in ("uv", "runtime", "label-studio"):
        (folder / "requirements" / f"{name}.txt").touch()
    (folder / "pyproject.toml").touch()
    environment = {"PATH": os.environ["PATH"], **variables}
    words = ["make", "--dry-run", target]
    return subprocess.run(
        words, cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize(
    ("lines", "variables", "place"),
    [
        ("", {}, ".venv-label-studio"),
        ("LABEL_STUDIO_VENV=", {}, ".venv-label-studio"),
        ("SAM_PORT=9\nLABEL_STUDIO_VENV=elsewhere/ls", {}, "elsewhere/ls"),
        ('LABEL_STUDIO_VENV="elsewhere"', {}, '"elsewhere"'),
        ("LABEL_STUDIO_VENV=elsewhere", {"LABEL_STUDIO_VENV": "mine"}, "mine"),
    ],
)
def test_label_studio_is_installed_where_it_is_looked_for(
    lines: str, variables: dict[str, str], place: str, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"{lines}\n")
    planned = plan(tmp_path, "up", **variables)
    assert f"Making {place}" in planned
    assert f"LABEL_STUDIO_VENV={place} exec .venv/bin/segstudio up" in planned


def test_without_a_file_of_settings_it_has_its_own_place(tmp_path: Path) -> None:
    assert "LABEL_STUDIO_VENV=.venv-label-studio exec" in plan(tmp_path, "up")
