"""Command line ``segstudio``: list of commands, and entry point."""

import sys
from typing import Annotated

import typer
from dotenv import load_dotenv

from ml_backend import __version__
from ml_backend.errors import SettingsError
from ml_backend.extras import explain_missing_extras
from segstudio.cli.lazy import LazyCommand, LazyGroup

COMMANDS = (
    LazyCommand(
        "up", "Start Label Studio and both backends, connected in a project, until Ctrl-C."
    ),
    LazyCommand(
        "serve",
        "Start both backends alone, for a Label Studio that you already have, until Ctrl-C.",
    ),
    LazyCommand("backends", "Connect both backends to a project, or show whether they work there."),
    LazyCommand("bucket", "Prepare buckets for Label Studio."),
    LazyCommand("credentials", "Encode and check the service account's key."),
    LazyCommand("images", "Upload images to a bucket.", hidden=True),
    LazyCommand("media", "Upload images, video and audio to a bucket."),
    LazyCommand("models", "List, download and check the weights of the big models."),
    LazyCommand("project", "Create labeling projects."),
    LazyCommand("storage", "Write annotations to a bucket."),
    LazyCommand(
        "agreement", "Measure inter-annotator agreement on images with two or more annotations."
    ),
    LazyCommand("consensus", "Merge the annotations of several annotators into a review project."),
    LazyCommand("export", "Export the annotations of one or more projects."),
    LazyCommand("report", "Write a report on projects: progress, pace, value of the suggestions."),
    LazyCommand(
        "doctor", "Diagnose the installation and suggest a fix for each failing check. Read-only."
    ),
    LazyCommand("learn", "Learn a project's own labels from its annotations now."),
    LazyCommand("lint", "Check a label config against both backends, offline."),
    LazyCommand(
        "predict", "Predict many images at once, on this machine or a Ray cluster.", extra="bulk"
    ),
    LazyCommand(
        "prewarm", "Precompute the embeddings of a project's images, so that no first click waits."
    ),
    LazyCommand("stack", "Run the one-shot steps of docker-compose.yml.", hidden=True),
)
"""Each command with the first line of its help, in the order of ``segstudio --help``."""


class Commands(LazyGroup):
    """Group of all commands."""

    lazy_commands = COMMANDS


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


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


def run() -> None:
    """Run the command line; a missing extra ends it with one line."""
    try:
        with explain_missing_extras():
            app(prog_name="segstudio")
    except SettingsError as error:
        sys.exit(f"error: {error}")
