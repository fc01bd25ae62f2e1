"""Run the commands that start programs and follow them until they are stopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ml_backend.extras import require_extra
from ml_backend.serving.settings import read_settings
from segstudio.cli.console import reporting
from segstudio.errors import ProcessError
from segstudio.local.demo_project import Advance
from segstudio.local.log_view import LogView
from segstudio.settings import UpSettings


def run_program(command: Callable[[UpSettings, LogView], None]) -> None:
    """Run until Ctrl-C; print an error as one line, below the log of the failed program."""
    with reporting() as report:

        @contextmanager
        def uploading() -> Iterator[Advance]:
            with report.progress("photographs") as bar:
                yield bar.update

        require_extra("server")
        try:
            command(read_settings(UpSettings), LogView(report.console, uploading))
        except ProcessError as error:
            if error.log_tail:
                report.warn(error.log_tail, "dim")
            raise
