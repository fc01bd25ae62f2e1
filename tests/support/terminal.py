"""A pseudo-terminal: programs behave on it as in front of a person."""

import os
import pty
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def output_on_terminal(
    command: Sequence[str | Path], variables: Mapping[str, str], folder: Path
) -> str:
    """Run a program whose stdout and stderr are a terminal, and return everything it printed.

    Args:
        command: Program and arguments.
        variables: Environment variables in addition to those of the test.
        folder: Working directory.
    """
    ours, theirs = pty.openpty()
    environment = {name: os.environ[name] for name in os.environ if name != "NO_COLOR"}
    with subprocess.Popen(
        command,
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "120", **variables},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        printed = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return printed.decode()


def _read(terminal: int) -> bytes:
    """Return the next bytes; empty when the program has exited."""
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux reports the end of a terminal as an error
        return b""
