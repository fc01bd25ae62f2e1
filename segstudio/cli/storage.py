"""``segstudio storage``: write annotations to a bucket."""

from dataclasses import asdict
from typing import Annotated

import typer

from ml_backend.errors import LabelStudioError
from ml_backend.serving.settings import read_settings
from segstudio.cli.console import Report, reporting
from segstudio.cli.options import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    DryRunOption,
    JsonOption,
    ProjectOption,
    command_app,
)
from segstudio.gcs.client import (
    GoogleObjects,
    GoogleSettings,
    connect,
    parse_address,
    service_account,
)
from segstudio.labelstudio.storages import connect_target, storages, synchronise
from segstudio.labelstudio.sync_check import Outcome, read_back
from segstudio.local.connection import open_label_studio
from segstudio.settings import ProjectSettings

app = command_app()


@app.callback()
def group() -> None:
    """Write annotations to a bucket."""


@app.command(epilog=EXIT_CODES)
def target(
    project: ProjectOption,
    bucket: Annotated[
        str,
        typer.Argument(help="Bucket for the annotations: gs://target or gs://target/folder."),
    ],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Connect a bucket as the project's target, with the service account.

    From then on Label Studio writes each annotation there when it is submitted; `segstudio storage
    sync` writes earlier ones. The command is idempotent.
    """
    with reporting(as_json) as report:
        address = parse_address(bucket)
        name, folder = address.bucket, address.name.strip("/")
        key = service_account(read_settings(GoogleSettings))
        with open_label_studio(read_settings(ProjectSettings)) as label_studio:
            title = label_studio.project(project).title
            known = {s.url for s in storages(label_studio, project, "target")}
            url = "/".join(filter(None, [f"gs://{name}", folder]))
            if not dry_run:
                connect_target(label_studio, project, name, folder, key)
        done = "is" if url in known else "would be" if dry_run else "is now"
        report.print(f"{url} {done} a target of project {project}, {title!r}")
        report.result(
            {"project": project, "url": url, "created": url not in known, "dry_run": dry_run}
        )


@app.command(epilog=EXIT_CODES)
def sync(
    project: ProjectOption, dry_run: DryRunOption = False, as_json: JsonOption = False
) -> None:
    """Write all annotations of a project to its targets, and verify the result.

    Label Studio's own count is compared with the objects in the bucket; missing ones are listed.
    Another run overwrites the objects, without duplicates.
    """
    with reporting(as_json) as report:
        google = read_settings(GoogleSettings)
        connection = connect(google) if service_account(google) else None
        outcomes = []
        with open_label_studio(read_settings(ProjectSettings)) as label_studio:
            label_studio.project(project)
            targets = storages(label_studio, project, "target")
            if not targets:
                raise LabelStudioError(
                    f"project {project} has no target storage",
                    f"segstudio storage target --project {project} gs://target",
                )
            for each in report.track(targets, "targets", len(targets)):
                done = each if dry_run else synchronise(label_studio, project, each)
                objects = GoogleObjects(connection, each.bucket) if connection else None
                outcomes.append(read_back(label_studio, project, done, objects))
                _print_outcome(report, outcomes[-1], dry_run)
        records = [{**asdict(outcome), "complete": outcome.complete} for outcome in outcomes]
        report.result({"project": project, "dry_run": dry_run, "targets": records})
    if not dry_run and not all(outcome.complete for outcome in outcomes):
        raise typer.Exit(EXIT_SOME_FAILED)


def _print_outcome(report: Report, outcome: Outcome, dry_run: bool) -> None:
    if outcome.problem and not dry_run:
        report.error(f"{outcome.url}: {outcome.problem}", {"failed": outcome.problem})
    there = "not checked: no key is set" if outcome.present is None else outcome.present
    did = "" if dry_run else f"{outcome.synced} written, "
    report.print(
        f"{outcome.url}: {did}{outcome.annotations} annotations in Label Studio, "
        f"of which in the bucket: {there}"
    )
    if outcome.missing and not dry_run:
        first = ", ".join(map(str, outcome.missing))
        problem = f"{outcome.url} has no objects for annotations {first}; run this command again"
        report.error(problem, {"missing": outcome.missing})
