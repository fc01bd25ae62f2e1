"""``python -m segstudio``: the command line without an installed script."""

from segstudio.cli.main import run

run()
