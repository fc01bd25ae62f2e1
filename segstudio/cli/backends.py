"""``segstudio backends``: connect both backends to projects."""

from typing import Any

import typer

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.responses import Connection, Project
from ml_backend.serving.settings import read_settings
from segstudio.cli.checks import finding_record, print_checks
from segstudio.cli.console import Report, reporting
from segstudio.cli.options import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    DryRunOption,
    JsonOption,
    ProjectOption,
    SamOption,
    SegmentationOption,
    command_app,
)
from segstudio.cli.serve import serve
from segstudio.labelstudio.compatibility import check_served, known_classes
from segstudio.labelstudio.lint import label_table
from segstudio.labelstudio.ml_backends import (
    Classes,
    check_connections,
    connect_backends,
    connected,
)
from segstudio.local.connection import backend_pair, open_label_studio
from segstudio.settings import ProjectSettings

app = command_app(no_args_is_help=False)


@app.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    """Connect both backends to a project, or show whether they work there."""
    if context.invoked_subcommand is None:
        serve()  # the name of `segstudio serve` in earlier versions


@app.command(epilog=EXIT_CODES)
def connect(
    project: ProjectOption,
    segmentation: SegmentationOption = "",
    sam: SamOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Connect both backends to an existing project, in the right order, and verify them.

    A label config that they cannot serve is refused, with the labels of both sides. Then Label
    Studio itself is asked to reach both. The command is idempotent: it verifies again, and
    reconnects a backend that does not work, for example after a change of password.
    """
    with reporting(as_json) as report:
        settings = read_settings(ProjectSettings)
        pair = backend_pair(settings, segmentation, sam)
        with open_label_studio(settings) as label_studio:
            target = label_studio.project(project)
            classes = known_classes(pair)
            _print_labels(report, target, classes)
            findings = check_served(target.label_config, classes)
            changed = not dry_run and connect_backends(label_studio, project, pair)
            connections = list(connected(label_studio, project, pair).values())
        print_checks(report, check_connections(connections))
        print_checks(report, findings)
        if dry_run:
            report.print(f"would connect {pair.segmentation}, then {pair.sam}")
        report.result(
            {
                "project": project,
                "changed": changed,
                "dry_run": dry_run,
                "backends": [_connection_record(each) for each in connections],
                "findings": [finding_record(each) for each in findings],
            }
        )
    if not dry_run and not all(each.works for each in connections):
        raise typer.Exit(EXIT_SOME_FAILED)


@app.command(epilog=EXIT_CODES)
def status(
    project: ProjectOption,
    segmentation: SegmentationOption = "",
    sam: SamOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show whether Label Studio reaches both backends of a project. Read-only."""
    with reporting(as_json) as report:
        settings = read_settings(ProjectSettings)
        pair = backend_pair(settings, segmentation, sam)
        with open_label_studio(settings) as label_studio:
            label_studio.project(project)
            connections = list(connected(label_studio, project, pair).values())
        print_checks(report, check_connections(connections))
        if len(connections) < 2:
            hint = f"connect both with segstudio backends connect --project {project}"
            report.print(f"project {project} is not connected to both backends: {hint}", "red")
        report.result(
            {"project": project, "backends": [_connection_record(each) for each in connections]}
        )
    if len(connections) < 2 or not all(each.works for each in connections):
        raise typer.Exit(EXIT_SOME_FAILED)


def _print_labels(report: Report, project: Project, classes: Classes) -> None:
    try:
        rows = label_table(project.label_config, classes)
    except LabelConfigError:
        return  # the check that follows says why
    if not classes.names:
        report.print(f"The model's classes are not known from here: {classes.source}", "yellow")
    columns = (f"label of {project.title!r}", f"class of {classes.source}", "smart tools")
    report.table(columns if classes.names else (columns[0], "class", columns[2]), rows)


def _connection_record(connection: Connection) -> dict[str, Any]:
    return {
        "title": connection.title,
        "url": connection.url,
        "ready": connection.works,
        "told": connection.answer,
    }
