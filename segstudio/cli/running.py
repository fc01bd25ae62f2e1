"""The commands that start programs and follow them until they are told to stop."""

import sys
from collections.abc import Callable

from rich.console import Console

from ml_backend.errors import SegstudioError
from ml_backend.extras import require_extra
from ml_backend.serving.settings import read_settings
from segstudio.errors import ProcessError
from segstudio.local.log_view import LogView
from segstudio.settings import UpSettings


def run_program(command: Callable[[UpSettings, LogView], None]) -> None:
    """Run until Ctrl-C; an error of ours becomes one line, below the log of what failed."""
    try:
        require_extra("server")
        command(read_settings(UpSettings), LogView(Console()))
    except SegstudioError as error:
        screen = LogView(Console(stderr=True))
        if isinstance(error, ProcessError) and error.log_tail:
            screen.say(error.log_tail, "dim")
        screen.say(f"error: {error}", "bold red")
        sys.exit(1)
