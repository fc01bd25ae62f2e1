"""``segstudio doctor``: a table of checks, with a fix for each that fails."""

from typing import Annotated

import typer
from pydantic import SecretStr

from ml_backend.errors import SegstudioError
from ml_backend.images import ImageSettings
from ml_backend.serving.settings import BackendSettings, read_settings
from segstudio.cli.checks import check_record, print_check_table
from segstudio.cli.console import reporting
from segstudio.cli.options import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    JsonOption,
    SamOption,
    SegmentationOption,
    command_app,
)
from segstudio.gcs.client import GoogleSettings, bucket_name
from segstudio.local.connection import LabelStudioAccess, backend_pair, resolve_connection
from segstudio.local.doctor import Doctor
from segstudio.local.task_image import ImageOfTask
from segstudio.settings import ProjectSettings

app = command_app(no_args_is_help=False)


@app.command(epilog=EXIT_CODES)
def doctor(
    project: Annotated[
        int | None,
        typer.Option(min=1, help="Project ID to check; default: the project of `make up`."),
    ] = None,
    task: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Task ID whose image to fetch as the backends do, step by step; skips all other "
            "checks.",
        ),
    ] = None,
    bucket: Annotated[
        list[str] | None,
        typer.Option(help="Bucket to check in addition to the project's: gs://source; repeatable."),
    ] = None,
    segmentation: SegmentationOption = "",
    sam: SamOption = "",
    as_json: JsonOption = False,
) -> None:
    """Diagnose the installation and suggest a fix for each failing check. Read-only.

    Checks: Label Studio and its version, the token, private addresses, both backends from here and
    from Label Studio, the Google key, buckets (reading, CORS, signing), free disk space.
    """
    with reporting(as_json) as report:
        checks = _make_doctor(project, task, bucket or [], segmentation, sam).checks()
        found = print_check_table(report, checks)
        bad = sum(check.status == "error" for check in found)
        summary = f"{bad} of {len(found)} checks failed" if bad else "All checks passed"
        report.print(f"\n{summary}", "bold")
        report.result({"bad": bad, "checks": [check_record(check) for check in found]})
    if bad:
        raise typer.Exit(EXIT_SOME_FAILED)


def _backend_settings(access: LabelStudioAccess | SegstudioError) -> ImageSettings:
    """Return the settings of backends on this machine, with the Label Studio to check."""
    settings = read_settings(BackendSettings)
    if not isinstance(access, LabelStudioAccess):
        return settings
    known = {"label_studio_url": access.url, "label_studio_api_key": SecretStr(access.token)}
    return settings.model_copy(update=known)


def _make_doctor(
    project: int | None, task: int | None, buckets: list[str], segmentation: str, sam: str
) -> Doctor:
    settings = read_settings(ProjectSettings)
    access: LabelStudioAccess | SegstudioError
    try:
        access = resolve_connection(settings)
    except SegstudioError as error:
        access = error
    return Doctor(
        access=access,
        pair=backend_pair(settings, segmentation, sam),
        project=project,
        buckets=[bucket_name(name) for name in buckets],
        google=read_settings(GoogleSettings),
        folders=[settings.state_dir],
        task_image=None if task is None else ImageOfTask(task, _backend_settings(access)),
    )
