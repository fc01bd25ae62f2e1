"""What a process imports: no more than its command needs."""

import subprocess
import sys
from pathlib import Path

import segstudio.cli

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
