"""``python -m segstudio``: the command line where no script is installed."""

from segstudio.cli import app

app(prog_name="segstudio")
