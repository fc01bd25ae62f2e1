"""The command line's help as Markdown."""

import re

import typer
from typer.cli import get_docs_for_click

from segstudio.cli.lazy import LazyCommand
from segstudio.cli.main import COMMANDS
from segstudio.cli.options import EXIT_CODES

_LEFT_OUT = (
    r"\* `--help`: .*\n",
    rf"{re.escape(EXIT_CODES)}\n",
    r"\*\*Commands\*\*:\n\n(\* .*\n)+",  # shortened texts; the sections below have them whole
    r"\*\*Options\*\*:\n\n(?!\*)",
)
"""Patterns of what is the same for every command, and of empty lists."""


def command_reference() -> str:
    """Return the exit codes, and a section for each command that ``segstudio --help`` lists."""
    sections = [_section(command) for command in COMMANDS if not command.hidden]
    return "\n".join([f"{EXIT_CODES}\n", *sections])


def _section(lazy: LazyCommand) -> str:
    command = lazy.load()
    context = typer.Context(command, info_name=f"segstudio {command.name}")
    text = get_docs_for_click(obj=command, ctx=context, indent=1, call_prefix="segstudio")
    for pattern in _LEFT_OUT:
        text = re.sub(pattern, "", text)
    return text
