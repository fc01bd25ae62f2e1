"""``segstudio learn``: models of a project's labels, learned from its annotations."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import Report, reporting
from segstudio.cli.options import EXIT_CODES, JsonOption, ProjectOption, command_app
from segstudio.cli.progress import Bar
from segstudio.cli.selection import OptionalProjectsOption, Projects
from segstudio.local.learning import Record, run_learner
from segstudio.settings import ProjectSettings

app = command_app(no_args_is_help=False)


class Unlabelled(StrEnum):
    """Meaning of pixels outside all regions of a submitted task."""

    BACKGROUND = "background"
    IGNORE = "ignore"


@app.callback(invoke_without_command=True)
def learn(
    context: typer.Context,
    project: OptionalProjectsOption = None,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Fine-tune the network: minutes on a GPU, hours on a CPU."),
    ] = False,
    unlabelled: Annotated[
        Unlabelled, typer.Option(help="Meaning of pixels outside all regions of a submitted task.")
    ] = Unlabelled.BACKGROUND,
    as_json: JsonOption = False,
) -> None:
    """Learn a project's own labels from its annotations now.

    The backend also does this after annotations (LEARN). The new model is compared with the current
    one on annotations that it did not learn from, and replaces it only if it is better. Then
    unfinished tasks get its predictions.
    """
    if context.invoked_subcommand is not None:
        return
    if project is None:
        raise typer.BadParameter("name the projects with --project")
    words = ["run", *_projects(project), "--unlabelled", unlabelled.value]
    with reporting(as_json) as report, report.progress("learning") as bar:
        for record in _learner([*words, *["--thorough"] * thorough]):
            _show(report, bar, record)


@app.command("list", epilog=EXIT_CODES)
def list_all(project: OptionalProjectsOption = None, as_json: JsonOption = False) -> None:
    """List the learned versions of projects, oldest first."""
    with reporting(as_json) as report:
        records = list(_learner(["list", *_projects(project)]))
        for record in records:
            report.result(record)
        columns = ("version", "serves", "made", "images", "IoU before", "IoU", "card")
        report.table(columns, map(_version_row, records))


@app.command(epilog=EXIT_CODES)
def use(
    version: Annotated[
        str, typer.Argument(help="Version, such as learned-3-2-1f0c9ab4; or shipped.")
    ],
    project: ProjectOption,
    as_json: JsonOption = False,
) -> None:
    """Make a version current; `shipped` is the model without anything learned."""
    _change(["use", "--project", str(project), version], as_json)


@app.command(epilog=EXIT_CODES)
def rollback(project: ProjectOption, as_json: JsonOption = False) -> None:
    """Return a project to the version before the current one."""
    _change(["rollback", "--project", str(project)], as_json)


def _change(words: Sequence[str], as_json: bool) -> None:
    with reporting(as_json) as report:
        for record in _learner(words):
            report.result(record)
            report.print(
                f"project {record['project']} is served by {record['version']} within 10 s; "
                "the learner writes its predictions"
            )


def _learner(words: Sequence[str]) -> Iterable[Record]:
    return run_learner(read_settings(ProjectSettings), words)


def _projects(project: Projects | None) -> list[str]:
    return [] if project is None else ["--project", ",".join(map(str, project.ids))]


def _show(report: Report, bar: Bar, record: Record) -> None:
    match record:
        case {"waiting": True}:
            report.warn("waiting for another run on this machine")
        case {"step": step, "done": done, "total": total}:
            bar.update(done, total, step)
        case {"dropped": what, "reason": reason}:
            report.error(f"{what}: {reason}", record)
        case {"project": project, "promoted": promoted, "reason": reason}:
            report.result(record)
            if record.get("figures"):
                _print_figures(report, record["figures"])
            verdict = f"promoted {record['version']}" if promoted else "kept the current model"
            report.print(f"project {project}: {verdict}: {reason} ({record['seconds']} s)")


def _print_figures(report: Report, figures: dict[str, Any]) -> None:
    rows = [
        (each["label"], str(each["images"]), _iou(each["old"]), _iou(each["new"]), each["source"])
        for each in figures["labels"]
    ]
    total = ("mean", str(figures["held_out"]), _iou(figures["old"]), _iou(figures["new"]), "")
    report.table(("label", "images", "old IoU", "new IoU", "found by"), [*rows, total])


def _version_row(record: Record) -> tuple[str, ...]:
    card = record["card"]
    figures = card.get("figures", {})
    return (
        record["version"],
        "yes" if record["current"] else "",
        card.get("made", ""),
        str(card.get("images", "")),
        _iou(figures.get("old")),
        _iou(figures.get("new")),
        f"{record['folder']}/card.md",
    )


def _iou(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
