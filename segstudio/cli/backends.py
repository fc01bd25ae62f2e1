"""``segstudio backends``: both backends alone, and their connection to projects."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    DryRunOption,
    JsonOption,
    ProjectOption,
    Report,
    SamOption,
    SegmentationOption,
    reporting,
)

if TYPE_CHECKING:
    from segstudio.labelstudio.client import Project
    from segstudio.labelstudio.lint import Finding
    from segstudio.labelstudio.ml_backends import BackendStatus, Classes

app = typer.Typer(epilog=EXIT_CODES)


@app.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    """Start both backends alone, for a Label Studio that you have already; or connect them."""
    if context.invoked_subcommand is None:
        from segstudio.cli.running import run_program
        from segstudio.local import run

        run_program(run.backends)


@app.command(epilog=EXIT_CODES)
def connect(
    project: ProjectOption,
    segmentation: SegmentationOption = "",
    sam: SamOption = "",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Connect both backends to a project that there is, in the right order, and verify them.

    A label config that they cannot serve is refused, with the labels of both sides. Afterwards
    Label Studio itself is let ask both. Run again, it verifies again, and connects anew where one
    does not work: with a password that has changed, say.
    """
    from segstudio.labelstudio.compatibility import check_served, known_classes
    from segstudio.labelstudio.ml_backends import conditions, connect_backends
    from segstudio.local.connection import backend_pair, open_label_studio
    from segstudio.settings import ProjectSettings

    with reporting(as_json) as report:
        settings = read_settings(ProjectSettings)
        pair = backend_pair(settings, segmentation, sam)
        with open_label_studio(settings) as label_studio:
            target = label_studio.project(project)
            classes = known_classes(pair)
            _show_labels(report, target, classes)
            findings = check_served(target.label_config, classes)
            changed = not dry_run and connect_backends(label_studio, project, pair)
            found = conditions(label_studio, project, pair)
        _tell(report, found, findings)
        if dry_run:
            report.print(f"would connect {pair.segmentation}, then {pair.sam}")
        report.result(
            {
                "project": project,
                "changed": changed,
                "dry_run": dry_run,
                "backends": [asdict(each) for each in found],
                "findings": [asdict(each) for each in findings],
            }
        )
    if not dry_run and not all(each.ready for each in found):
        raise typer.Exit(EXIT_SOME_FAILED)


def _show_labels(report: Report, project: "Project", classes: "Classes") -> None:
    """Labels of both sides, as far as there are some."""
    from ml_backend.errors import LabelConfigError
    from segstudio.labelstudio.lint import label_table

    try:
        rows = label_table(project.label_config, classes)
    except LabelConfigError:
        return  # the check that follows says why
    if not classes.names:
        report.print(f"The model's classes are not known from here: {classes.source}", "yellow")
    columns = (f"label of {project.title!r}", f"class of {classes.source}", "smart tools")
    report.table(columns if classes.names else (columns[0], "class", columns[2]), rows)


def _tell(report: Report, found: "Sequence[BackendStatus]", findings: "Sequence[Finding]") -> None:
    for each in found:
        mark, style = ("✓", "green") if each.ready else ("✗", "red")
        report.print(f"{mark} {each.title} {each.url}: {each.told}", style)
    for finding in findings:
        report.print(f"{finding.level}: {finding.where}: {finding.problem}\n  {finding.fix}", "dim")
