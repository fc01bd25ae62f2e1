"""Options, exit codes and Typer application shared by all commands."""

from typing import Annotated

import typer

EXIT_ERROR = 1
EXIT_SOME_FAILED = 3
EXIT_CODES = (
    "Exit codes: 0 success; 1 stopped by an error; 2 wrong usage; "
    "3 finished, but some items failed or are missing (each is named); 130 interrupted."
)
"""Epilog of each command."""

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print machine-readable output: one JSON object a line.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Preview what would be done, and change nothing.")
]
RetryOption = Annotated[
    float, typer.Option(min=0, help="Seconds to retry a busy or unreachable bucket.")
]
ProjectOption = Annotated[
    int, typer.Option("--project", min=1, help="Project ID, as in the project's address.")
]
SegmentationOption = Annotated[
    str,
    typer.Option(
        "--segmentation",
        help="Address of the segmentation backend as Label Studio reaches it; default: that of "
        "`make up`.",
    ),
]
SamOption = Annotated[
    str,
    typer.Option(
        "--sam",
        help="Address of the sam backend as Label Studio reaches it; default: that of `make up`.",
    ),
]


def command_app(*, no_args_is_help: bool = True) -> typer.Typer:
    """Return the Typer application of a command module listed in ``segstudio.cli.main``."""
    return typer.Typer(
        no_args_is_help=no_args_is_help,
        add_completion=False,
        epilog=EXIT_CODES,
        rich_markup_mode="markdown",
    )
