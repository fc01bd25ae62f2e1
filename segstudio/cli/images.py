"""``segstudio images``: photographs into a bucket."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    DryRunOption,
    JsonOption,
    Report,
    RetryOption,
    reporting,
)
from segstudio.data.manifest import (
    IDENTIFIER,
    IMAGE,
    ManifestWriter,
    manifest_columns,
    manifest_path,
)
from segstudio.data.naming import NamingRule
from segstudio.data.scratch_db import NameIndex
from segstudio.data.tables import CsvTable, FolderTable, Table
from segstudio.data.uploads import Outcome, Source, Uploader, claim_names
from segstudio.gcs.objects import BucketError, ObjectMeta

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)


@app.callback()
def group() -> None:
    """Bring photographs into a bucket."""


@app.command(epilog=EXIT_CODES)
def upload(
    source: Annotated[Path, typer.Argument(help="CSV file with a row an image, or a folder.")],
    bucket: Annotated[str, typer.Option(help="That the images go to: gs://bucket.")],
    path_column: Annotated[
        str, typer.Option(help="Column of the CSV with the paths of the image files.")
    ] = "",
    name: Annotated[
        str,
        typer.Option(
            help='Rule for the objects\' names, columns in braces: "{Username}/{ID}.jpg". '
            "A folder has the columns path (the default rule), folder, stem, suffix."
        ),
    ] = "",
    root: Annotated[
        Path | None, typer.Option(help="Folder that relative paths begin at; default: the CSV's.")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Where to write the manifest; default: SOURCE.manifest.csv beside SOURCE."
        ),
    ] = None,
    identifier_column: Annotated[
        str, typer.Option(help="Column of the manifest for the objects' names.")
    ] = IDENTIFIER,
    image_column: Annotated[
        str, typer.Option(help="Column of the manifest for the gs:// references.")
    ] = IMAGE,
    delimiter: Annotated[str, typer.Option(help="Between the cells of the CSV.")] = ",",
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Overwrite objects that hold something else than the file."),
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Uploads at the same time.")] = 8,
    retry_seconds: RetryOption = 60,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Upload the images of a CSV's rows or of a folder, and write the manifest.

    What the bucket has already, by checksum, is skipped; a file that is missing is named and the
    others go on. Stopped at any moment, the same command goes on where it stopped. The manifest
    holds the input's columns of every image that is in the bucket, its identifier (the object's
    name) and its gs:// reference; `segstudio project create` makes tasks of it.
    """
    from segstudio.gcs.client import GoogleObjects, GoogleSettings, bucket_name, connect

    with reporting(as_json) as report:
        images = _source(source, path_column, name, root, delimiter)
        columns = manifest_columns(images.table, identifier_column, image_column)
        path = manifest_path(source, manifest)
        target = bucket_name(bucket)
        settings = read_settings(GoogleSettings)
        cloud = connect(settings, retry_seconds=retry_seconds, connections=workers)
        uploader = Uploader(GoogleObjects(cloud, target), replace, dry_run, workers)
        with NameIndex() as ledger, ExitStack() as stack:
            claim_names(images, ledger)
            rows = None if dry_run else stack.enter_context(ManifestWriter(path, columns, target))
            tally = _bring(report, images, uploader, ledger, rows)
        _tell(report, tally, None if dry_run else path)
    if tally.count["failed"]:
        raise typer.Exit(EXIT_SOME_FAILED)


def _source(source: Path, path_column: str, name: str, root: Path | None, delimiter: str) -> Source:
    table: Table
    if source.is_dir():
        table = FolderTable(source)
        path_column, name, root = path_column or "path", name or "{path}", root or source
    else:
        for option, value in (("--path-column", path_column), ("--name", name)):
            if not value:
                raise typer.BadParameter(f"a CSV file needs {option}")
        if len(delimiter) != 1:
            raise typer.BadParameter("--delimiter takes one character")
        table, root = CsvTable(source, delimiter), root or source.parent
    return Source(table, NamingRule.parse(name, table.columns), path_column, root)


@dataclass
class _Tally:
    """What was counted on the way."""

    count: Counter[str] = field(default_factory=Counter)
    begun: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun


def _bring(
    report: Report,
    images: Source,
    uploader: Uploader,
    ledger: NameIndex,
    manifest: ManifestWriter | None,
) -> _Tally:
    """List the bucket and upload, telling how it goes."""
    with report.progress("listing the bucket", None) as advance:
        ledger.record_listing(_each(uploader.objects.list(images.rule.prefix), advance))
    tally = _Tally()
    try:
        with report.progress("images", len(ledger)) as advance:
            for outcome in uploader.upload(images.items(), ledger):
                _note(report, outcome, manifest)
                tally.count[outcome.state] += 1
                advance()
    except BucketError as error:
        done = tally.count["uploaded"] + tally.count["present"]
        raise BucketError(
            f"{error.message}; {done} of {len(ledger)} images are in the bucket",
            "; ".join(filter(None, [error.hint, "then run the same command again: it goes on"])),
        ) from error
    return tally


def _note(report: Report, outcome: Outcome, manifest: ManifestWriter | None) -> None:
    row, name = outcome.item.row, outcome.item.name
    if outcome.state == "failed":
        record = {"failed": outcome.reason, "row": row.number, "name": name}
        report.error(f"row {row.number}: {outcome.reason}", record)
    elif manifest is not None:
        manifest.add(row, name)


def _each(
    listing: Iterable[tuple[str, ObjectMeta]], advance: Callable[[], None]
) -> Iterator[tuple[str, ObjectMeta]]:
    for each in listing:
        advance()
        yield each


def _tell(report: Report, tally: _Tally, manifest: Path | None) -> None:
    count, seconds = tally.count, tally.seconds
    speed = round(count.total() / max(seconds, 1e-3), 1)
    states = {state: count[state] for state in ("uploaded", "present", "failed")}
    dry = manifest is None
    report.print(
        f"{states['uploaded']} {'would be ' if dry else ''}uploaded, {states['present']} there "
        f"already, {states['failed']} failed ({speed} images/s)"
    )
    if manifest is not None:
        report.print(f"manifest: {manifest} ({states['uploaded'] + states['present']} rows)")
    report.result(
        {
            **states,
            "seconds": round(seconds, 3),
            "items_per_second": speed,
            "manifest": None if dry else str(manifest),
            "dry_run": dry,
        }
    )
