"""The command line's help as Markdown."""

import typer
from typer.cli import get_docs_for_click

from segstudio.cli.main import COMMANDS


def command_reference() -> str:
    """Return a section for each command that ``segstudio --help`` lists."""
    sections = []
    for lazy in COMMANDS:
        if not lazy.hidden:
            command = lazy.load()
            context = typer.Context(command, info_name=f"segstudio {command.name}")
            sections.append(
                get_docs_for_click(obj=command, ctx=context, indent=1, call_prefix="segstudio")
            )
    return "\n".join(sections)
