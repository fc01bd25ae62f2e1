"""Output of commands on a terminal, in a pipe and with ``NO_COLOR``."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import ROOT
from tests.support.studio import SEGSTUDIO
from tests.support.terminal import output_on_terminal

NOBODY = {
    "LABEL_STUDIO_URL": "http://127.0.0.1:9",
    "LABEL_STUDIO_API_KEY": "0" * 40,
    "SEGMENTATION_PORT": "9",
    "SAM_PORT": "9",
    "PYTHONPATH": str(ROOT),
}


RED = "\x1b[31m"


BAR = """
import sys
from segstudio.cli.console import Report
report = Report(as_json="--json" in sys.argv)
with report.progress("reading", 4) as bar:
    for done in range(1, 5):
        bar.update(done, 4)
    bar.update(1, 2, "writing")
for _ in report.track(iter("abc"), "images", 3):
    pass
report.result({"done": True})
"""


def test_a_failed_check_is_red_on_a_terminal(tmp_path: Path) -> None:
    printed = output_on_terminal([SEGSTUDIO, "doctor"], NOBODY, tmp_path)
    assert f"{RED}✗" in printed
    assert "To fix:" in printed


def test_no_color_turns_colours_off(tmp_path: Path) -> None:
    printed = output_on_terminal([SEGSTUDIO, "doctor"], {**NOBODY, "NO_COLOR": "1"}, tmp_path)
    assert "✗" in printed
    assert not re.findall(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7])m", printed)


def test_a_pipe_gets_no_escape_code_and_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    for name, value in NOBODY.items():
        monkeypatch.setenv(name, value)
    result = subprocess.run(
        [SEGSTUDIO, "doctor"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 3
    assert "\x1b" not in result.stdout + result.stderr
    (row,) = re.findall(r"✗ +Label Studio +.*", result.stdout)
    assert "does not" in row or "did not" in row


def run_bar(folder: Path, *options: str) -> str:
    command = [sys.executable, "-c", BAR, *options]
    return output_on_terminal(command, {"PYTHONPATH": str(ROOT)}, folder)


def test_a_bar_shows_count_rate_and_time_left_of_each_step(tmp_path: Path) -> None:
    printed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", run_bar(tmp_path))
    assert re.search(r"writing .* 1/2 +\S+/s +(\d|-):", printed)
    assert re.search(r"images .* 3/3 +\S+/s +0:00:00", printed)


def test_json_has_no_bar(tmp_path: Path) -> None:
    assert run_bar(tmp_path, "--json") == '{"done": true}\r\n'
