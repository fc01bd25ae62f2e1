"""The command line of people who run labeling projects."""

import sys
from collections.abc import Callable

import typer
from dotenv import load_dotenv
from rich.console import Console

from ml_backend.errors import SegstudioError
from ml_backend.settings import read_settings
from segstudio.commands import bucket, credentials, images, models, project
from segstudio.commands.lint import lint
from segstudio.console import EXIT_CODES
from segstudio.errors import StartError
from segstudio.settings import UpSettings
from segstudio.up.screen import Screen

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(bucket.app, name="bucket")
app.add_typer(credentials.app, name="credentials")
app.add_typer(images.app, name="images")
app.add_typer(models.app, name="models")
app.add_typer(project.app, name="project")
app.command(epilog=EXIT_CODES)(lint)


@app.callback()
def main() -> None:
    """Semi-automatic image segmentation for Label Studio. Settings: see .env.example."""
    load_dotenv(".env")


@app.command()
def up() -> None:
    """Start Label Studio and both backends, joined in a project, until Ctrl-C."""
    from segstudio.up import run

    _run(run.up)


@app.command()
def backends() -> None:
    """Start both backends alone, for a Label Studio that you have already."""
    from segstudio.up import run

    _run(run.backends)


def _run(command: Callable[[UpSettings, Screen], None]) -> None:
    try:
        command(read_settings(UpSettings), Screen(Console()))
    except SegstudioError as error:
        screen = Screen(Console(stderr=True))
        if isinstance(error, StartError) and error.log_tail:
            screen.say(error.log_tail, "dim")
        screen.say(f"error: {error}", "bold red")
        sys.exit(1)
