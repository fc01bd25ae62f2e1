"""``segstudio lint``: a label config, looked at before labelers work with it."""

from dataclasses import asdict
from typing import Annotated

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import EXIT_SOME_FAILED, JsonOption, Report, reporting


def lint(
    template: Annotated[
        str, typer.Argument(help="File with a label config, or a template that comes along.")
    ],
    backend: Annotated[
        str,
        typer.Option(
            help="Running segmentation backend to ask for its classes, http://localhost:7070; "
            "default: the shipped network's."
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Check a label config against both backends, offline.

    Finds labels that no class of the model becomes, smart controls that Label Studio ignores,
    a missing control for masks, a wrong toName; each with its fix.
    """
    from segstudio.labelstudio.lint import lint as check
    from segstudio.labelstudio.ml_backends import SHIPPED, ask_classes
    from segstudio.local.connection import backend_pair
    from segstudio.projects.templates import read_template
    from segstudio.settings import ProjectSettings

    with reporting(as_json) as report:
        login = backend_pair(read_settings(ProjectSettings), "", "").login
        classes = ask_classes(backend, login) if backend else SHIPPED
        findings = check(read_template(template), classes)
        for each in findings:
            told = f"{each.level}: {each.where}: {each.problem}\n  {each.fix}"
            _tell(report, told, each.level)
        report.result({"template": template, "findings": [asdict(each) for each in findings]})
        if not findings:
            report.print(f"{template}: fine for both backends ({classes.source})")
    if any(each.level != "note" for each in findings):
        raise typer.Exit(EXIT_SOME_FAILED)


def _tell(report: Report, text: str, level: str) -> None:
    report.print(text, {"error": "red", "warning": "yellow"}.get(level, ""))
