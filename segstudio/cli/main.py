"""The command line of people who run labeling projects."""

import sys
from typing import Annotated

import typer
from dotenv import load_dotenv

from ml_backend import __version__
from ml_backend.errors import SettingsError
from ml_backend.extras import explain_missing_extras
from segstudio.cli import backends, bucket, credentials, images, models, project, stack, storage
from segstudio.cli.agreement import agreement
from segstudio.cli.console import EXIT_CODES
from segstudio.cli.doctor import doctor
from segstudio.cli.export import export
from segstudio.cli.lint import lint
from segstudio.cli.predict import predict
from segstudio.cli.prewarm import prewarm

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(backends.app, name="backends")
app.add_typer(bucket.app, name="bucket")
app.add_typer(credentials.app, name="credentials")
app.add_typer(images.app, name="images")
app.add_typer(models.app, name="models")
app.add_typer(project.app, name="project")
app.add_typer(storage.app, name="storage")
app.add_typer(stack.app, name="stack", hidden=True)
app.command(epilog=EXIT_CODES)(agreement)
app.command(epilog=EXIT_CODES)(export)
app.command(epilog=EXIT_CODES)(doctor)
app.command(epilog=EXIT_CODES)(lint)
app.command(epilog=EXIT_CODES)(predict)
app.command(epilog=EXIT_CODES)(prewarm)


def run() -> None:
    """Run the command line; an extra that is not installed ends it with one line."""
    try:
        with explain_missing_extras():
            app(prog_name="segstudio")
    except SettingsError as error:
        sys.exit(f"error: {error}")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"segstudio {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Semi-automatic image segmentation for Label Studio. Settings: see .env.example."""
    load_dotenv(".env")


@app.command()
def up() -> None:
    """Start Label Studio and both backends, joined in a project, until Ctrl-C."""
    from segstudio.cli.running import run_program
    from segstudio.local import run

    run_program(run.up)
