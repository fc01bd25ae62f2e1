"""``segstudio up``: Label Studio and both backends, connected in a project."""

from segstudio.cli.options import EXIT_CODES, command_app
from segstudio.cli.running import run_program
from segstudio.local import run

app = command_app(no_args_is_help=False)


@app.command(epilog=EXIT_CODES)
def up() -> None:
    """Start Label Studio and both backends, connected in a project, until Ctrl-C."""
    run_program(run.up)
