"""``python -m segstudio``: the command line where no script is installed."""

from segstudio.cli.main import run

run()
