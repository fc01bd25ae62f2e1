"""``segstudio media``: upload images, video and audio to a bucket."""

import time
from pathlib import Path
from typing import Annotated

import typer

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
from segstudio.data.manifest import IDENTIFIER, IMAGE
from segstudio.data.tables import MEDIA_SUFFIXES, FolderTable, describe_left_out
from segstudio.data.upload_job import (
    ManifestSpec,
    UploadJob,
    csv_source,
    folder_source,
    open_upload,
)
from segstudio.data.uploads import Source, Uploader
from segstudio.gcs.client import GoogleObjects, GoogleSettings, bucket_name, connect

app = command_app()


@app.callback()
def group(context: typer.Context) -> None:
    """Upload images, video and audio to a bucket."""
    context.obj = MEDIA_SUFFIXES


@app.command(epilog=EXIT_CODES)
def upload(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="CSV file with a row for each file, or a folder.")],
    bucket: Annotated[str, typer.Option(help="Bucket for the files: gs://bucket.")],
    path_column: Annotated[
        str, typer.Option(help="Column of the CSV with the paths of the files.")
    ] = "",
    name: Annotated[
        str,
        typer.Option(
            help='Rule for the objects\' names, with columns in braces: "{Username}/{ID}.jpg". '
            "A folder has the columns path (the default rule), folder, stem, suffix."
        ),
    ] = "",
    root: Annotated[
        Path | None, typer.Option(help="Folder that relative paths start at; default: the CSV's.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="CSV file to write; default: SOURCE.manifest.csv next to SOURCE."),
    ] = None,
    identifier_column: Annotated[
        str, typer.Option(help="Column of the manifest for the objects' names.")
    ] = IDENTIFIER,
    image_column: Annotated[
        str, typer.Option(help="Column of the manifest for the gs:// references.")
    ] = IMAGE,
    delimiter: Annotated[str, typer.Option(help="Character between the cells of the CSV.")] = ",",
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Overwrite objects whose content differs from the file."),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of concurrent uploads.")] = 8,
    retry_seconds: RetryOption = 60,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Upload the files of a CSV's rows or of a folder, and write the manifest.

    Files that the bucket already has, by checksum, are skipped; missing files are reported. After
    an interruption, the same command continues. The manifest has a row for each file that is in the
    bucket: the input's columns, its identifier (the object's name) and its gs:// reference;
    `segstudio project create` makes tasks of it.
    """
    with reporting(as_json) as report:
        images = _open_source(source, path_column, name, root, delimiter, context.obj)
        target = bucket_name(bucket)
        settings = read_settings(GoogleSettings)
        connection = connect(settings, retry_seconds=retry_seconds, connections=workers)
        uploader = Uploader(GoogleObjects(connection, target), replace, dry_run, workers)
        spec = ManifestSpec(manifest, identifier_column, image_column)
        with open_upload(source, images, uploader, target, spec) as job:
            seconds = _upload_all(report, job)
        _print_summary(report, job, seconds)
        if isinstance(images.table, FolderTable) and images.table.left_out:
            report.print(describe_left_out(images.table.left_out))
    if job.tally["failed"]:
        raise typer.Exit(EXIT_SOME_FAILED)


def _open_source(
    source: Path,
    path_column: str,
    name: str,
    root: Path | None,
    delimiter: str,
    suffixes: frozenset[str],
) -> Source:
    if source.is_dir():
        return folder_source(source, path_column, name, root, suffixes)
    for option, value in (("--path-column", path_column), ("--name", name)):
        if not value:
            raise typer.BadParameter(f"a CSV file needs {option}")
    if len(delimiter) != 1:
        raise typer.BadParameter("--delimiter takes one character")
    return csv_source(source, path_column, name, root, delimiter)


def _upload_all(report: Report, job: UploadJob) -> float:
    """List the bucket and upload, with progress bars; return the seconds of the upload."""
    job.index.record_listing(report.track(job.listing(), "listing the bucket"))
    begun = time.monotonic()
    for outcome in report.track(job.run(), "files", len(job.index)):
        if outcome.state == "failed":
            row, name = outcome.item.row, outcome.item.name
            record = {"failed": outcome.reason, "row": row.number, "name": name}
            report.error(f"row {row.number}: {outcome.reason}", record)
    return time.monotonic() - begun


def _print_summary(report: Report, job: UploadJob, seconds: float) -> None:
    counts = {state: job.tally[state] for state in ("uploaded", "present", "failed")}
    speed = round(job.tally.total() / max(seconds, 1e-3), 1)
    dry_run = job.manifest_path is None
    report.print(
        f"{counts['uploaded']} {'would be ' if dry_run else ''}uploaded, {counts['present']} there "
        f"already, {counts['failed']} failed ({speed} files/s)"
    )
    if not dry_run:
        rows = counts["uploaded"] + counts["present"]
        report.print(f"manifest: {job.manifest_path} ({rows} rows)")
    report.result(
        {
            **counts,
            "seconds": round(seconds, 3),
            "items_per_second": speed,
            "manifest": None if dry_run else str(job.manifest_path),
            "dry_run": dry_run,
        }
    )
