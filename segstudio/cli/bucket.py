"""``segstudio bucket``: prepare the buckets of images and annotations."""

from itertools import chain
from typing import Annotated

import typer

from ml_backend.errors import SettingsError
from ml_backend.serving.settings import read_settings
from segstudio.checks import CheckResult
from segstudio.cli.checks import print_checks
from segstudio.cli.console import reporting
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
from segstudio.gcs.setup import BucketSetup, BucketSpec

app = command_app()

_MISSING = "lacking"  # codespell:ignore - a value of the JSON output


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
    """Create and configure a source and a target bucket, and check the account's permissions.

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
        setups = (BucketSetup(connection, spec, location, dry_run) for spec in specs)
        steps = print_checks(report, chain.from_iterable(setup.steps() for setup in setups))
        failed = any(step.status == "error" for step in steps)
        if failed:
            report.print("\nAsk an owner of the buckets to run the commands above", "bold")
        report.result({"steps": [_step_record(step) for step in steps]})
    if failed:
        raise typer.Exit(EXIT_SOME_FAILED)


def _step_record(result: CheckResult) -> dict[str, object]:
    """Return the JSON record of a step."""
    bucket, _, what = result.subject.removeprefix("gs://").rpartition(" ")
    return {
        "bucket": bucket,
        "what": what,
        "state": _MISSING if result.status == "error" else result.status,
        "detail": result.detail,
        "fixes": result.fix.splitlines(),
    }
