"""``segstudio serve``: both backends alone."""

from segstudio.cli.options import EXIT_CODES, command_app
from segstudio.cli.running import run_program
from segstudio.local import run

app = command_app(no_args_is_help=False)


@app.command(epilog=EXIT_CODES)
def serve() -> None:
    """Start both backends alone, for a Label Studio that you already have, until Ctrl-C."""
    run_program(run.serve)
