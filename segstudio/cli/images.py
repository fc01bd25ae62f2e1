"""``segstudio images``: former name of ``segstudio media``, for images only."""

import typer

from segstudio.cli.media import upload
from segstudio.cli.options import EXIT_CODES, command_app
from segstudio.data.tables import IMAGE_SUFFIXES

app = command_app()
app.command(epilog=EXIT_CODES)(upload)


@app.callback()
def group(context: typer.Context) -> None:
    """Upload images to a bucket."""
    context.obj = IMAGE_SUFFIXES
