"""``segstudio bucket``: the source of images and the target of annotations."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from ml_backend.errors import SettingsError
from ml_backend.serving.settings import read_settings
from segstudio.cli.console import Report, reporting
from segstudio.cli.options import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    DryRunOption,
    JsonOption,
    RetryOption,
    command_app,
)
from segstudio.gcs.client import GoogleSettings, bucket_name, connect
from segstudio.gcs.cors import origin
from segstudio.gcs.setup import BucketSetup, BucketSpec, Step

app = command_app()

_MARKS = {"ok": "✓", "changed": "✓ new", "planned": "to do", "lacking": "✗"}


@app.callback()
def group() -> None:
    """Prepare buckets for Label Studio."""


@app.command(epilog=EXIT_CODES)
def setup(
    source: Annotated[str, typer.Argument(help="Bucket of the images: gs://source.")],
    target: Annotated[str, typer.Argument(help="Bucket of the annotations: gs://target.")],
    origins: Annotated[
        list[str],
        typer.Option("--origin", help="Address of Label Studio in the browser; repeatable."),
    ],
    project: Annotated[
        str | None,
        typer.Option(help="Google Cloud project to create buckets in; default: the key's."),
    ] = None,
    location: Annotated[str, typer.Option(help="Where to create buckets.")] = "US",
    retry_seconds: RetryOption = 60,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create and configure a source and a target bucket, and check what the account may do.

    Creates what is missing, sets the cross-origin rule that Label Studio's pages need, keeps old
    versions in the target, and checks that the service account may read, write and sign addresses.
    Each missing permission is listed with the command that grants it. The command is idempotent.
    """
    with reporting(as_json) as report:
        names = bucket_name(source), bucket_name(target)
        if names[0] == names[1]:
            raise SettingsError(
                "source and target are the same bucket", "annotations would come back as images"
            )
        allowed = tuple(origin(text) for text in origins)
        settings = read_settings(GoogleSettings)
        connection = connect(settings, project=project, retry_seconds=retry_seconds)
        specs = (
            BucketSpec(names[0], allowed, versioned=False),
            BucketSpec(names[1], allowed, versioned=True),
        )
        steps = [
            step
            for spec in specs
            for step in BucketSetup(connection, spec, location, dry_run).steps()
        ]
        _print_steps(report, steps)
    if any(step.state == "lacking" for step in steps):
        raise typer.Exit(EXIT_SOME_FAILED)


def _print_steps(report: Report, steps: Sequence[Step]) -> None:
    report.table(
        ("", "bucket", "", ""),
        ((_MARKS[step.state], step.bucket, step.what, step.detail) for step in steps),
    )
    fixes = dict.fromkeys(fix for step in steps for fix in step.fixes)
    if fixes:
        report.print("\nLet an owner of the buckets run:", "bold")
    for fix in fixes:
        report.print(f"  {fix}")
    report.result({"steps": [asdict(step) for step in steps]})
