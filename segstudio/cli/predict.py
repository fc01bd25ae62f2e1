"""``segstudio predict``: predictions for a whole project, manifest, bucket or folder in advance."""

import time
from pathlib import Path
from typing import Annotated

import typer

from segstudio.cli.console import Report, reporting
from segstudio.cli.options import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    DryRunOption,
    JsonOption,
    command_app,
)
from segstudio.data.manifest import IDENTIFIER, IMAGE
from segstudio.data.tables import describe_left_out
from segstudio.predict.items import Outcome
from segstudio.predict.job import Job, ProjectTasksSpec, RunOptions, ShardsSpec, open_job
from segstudio.predict.shard_table import ShardFormat
from segstudio.predict.sources import ImagesSpec

app = command_app()


@app.command(epilog=EXIT_CODES)
def predict(
    source: Annotated[
        str | None,
        typer.Argument(help="Images: a folder, or gs://bucket/prefix."),
    ] = None,
    project: Annotated[
        int | None, typer.Option(min=1, help="Project ID: predict its tasks, into the project.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Predict the rows of a CSV, as `images upload` writes it.")
    ] = None,
    out: Annotated[
        str, typer.Option(help="Folder or gs://bucket/prefix for the shards; not with --project.")
    ] = "",
    kind: Annotated[
        ShardFormat,
        typer.Option("--format", help="Format of the shards; Label Studio itself reads jsonl."),
    ] = ShardFormat.JSONL,
    template: Annotated[
        str, typer.Option(help="Label config as for `project create`; a project has its own.")
    ] = "runway_fashion",
    image_column: Annotated[
        str,
        typer.Option(
            help="Column of the manifest with the images' references. Not used if the template "
            "shows several fields: each comes from the column of its name."
        ),
    ] = IMAGE,
    identifier_column: Annotated[
        str, typer.Option(help="Column of the manifest with a unique value in each row.")
    ] = IDENTIFIER,
    embed: Annotated[
        bool, typer.Option("--embed", help="Also precompute the sam backend's embeddings.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of images to predict in this run.")
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry the images in failed.csv.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=0, help="Model processes; 0: one per GPU, else one per two cores.")
    ] = 0,
    ray_address: Annotated[
        str,
        typer.Option(
            envvar="RAY_ADDRESS",
            help="Ray cluster with this machine; default: this machine only.",
        ),
    ] = "",
    retry_seconds: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds to retry a Label Studio that fails. After a call without an answer, the "
            "first minute is spent on checking whether it took effect.",
        ),
    ] = 300,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predict many images at once, on this machine or a Ray cluster.

    After an interruption, the same command continues: images with a prediction of this model are
    skipped. Unreadable images are listed in failed.csv with the reason (in --out; for a project,
    project-3.failed.csv in this folder) and are left out until --retry-failed.

    `segstudio project create --tasks OUT` makes tasks of shards, with their predictions.
    """
    _check_options(source, project, manifest, out)
    images = ImagesSpec(source or "", manifest, image_column, identifier_column)
    shards = ShardsSpec(images, out, kind, template)
    spec = ProjectTasksSpec(project, retry_seconds) if project is not None else shards
    options = RunOptions(embed, limit, retry_failed, workers, ray_address)
    with reporting(as_json) as report, open_job(spec, options) as job:
        seconds = 0.0 if dry_run else _run_job(report, job)
        _print_summary(report, job, seconds, dry_run)
        if images.left_out:
            report.print(describe_left_out(images.left_out))
    if job.tally["failed"]:
        raise typer.Exit(EXIT_SOME_FAILED)


def _check_options(source: object, project: object, manifest: object, out: str) -> None:
    if [source, project, manifest].count(None) != 2:
        raise typer.BadParameter("give one of SOURCE, --project and --manifest")
    if project is None and not out:
        raise typer.BadParameter("give the place of the shards with --out")
    if project is not None and out:
        raise typer.BadParameter("predictions of a project go into the project, without --out")


def _run_job(report: Report, job: Job) -> float:
    """Predict with a progress bar; return the duration in seconds."""
    begun = time.monotonic()
    with report.progress("tasks", len(job.items)) as bar:

        def report_outcome(outcome: Outcome) -> None:
            bar.advance()
            if outcome.reason:
                shown = outcome.item.meta.get(IDENTIFIER) or f"task {outcome.item.task}"
                record = {"failed": outcome.reason, "image": outcome.item.reference[:200]}
                report.error(f"{shown}: {outcome.reason}", record)

        job.run(report_outcome)
    return time.monotonic() - begun


def _print_summary(report: Report, job: Job, seconds: float, dry_run: bool) -> None:
    tally, version = job.tally, job.model.version
    counts = {name: tally[name] for name in ("predicted", "failed", "present", "failed_before")}
    speed = round((tally["predicted"] + tally["failed"]) / max(seconds, 1e-3), 1)
    done = f"{len(job.items)} would be" if dry_run else counts["predicted"]
    report.print(
        f"{done} predicted, {counts['failed']} failed, {counts['present']} there already, "
        f"{counts['failed_before']} failed before ({speed} tasks/s) by {version}"
    )
    if counts["failed"] or counts["failed_before"]:
        report.print(f"{job.failures_name} has the reasons; --retry-failed retries them")
    report.result(
        {
            **counts,
            "would_predict": len(job.items) if dry_run else None,
            "model_version": version,
            "seconds": round(seconds, 3),
            "items_per_second": speed,
            "dry_run": dry_run,
        }
    )
