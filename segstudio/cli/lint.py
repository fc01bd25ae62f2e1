"""``segstudio lint``: a label config, looked at before labelers work with it."""

from typing import Annotated

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import finding_record, reporting
from segstudio.cli.options import EXIT_CODES, EXIT_SOME_FAILED, JsonOption, command_app
from segstudio.labelstudio.lint import lint as find_problems
from segstudio.labelstudio.ml_backends import SHIPPED, ask_classes
from segstudio.local.connection import backend_pair
from segstudio.projects.templates import read_template
from segstudio.settings import ProjectSettings

app = command_app()


@app.command(epilog=EXIT_CODES)
def lint(
    template: Annotated[
        str, typer.Argument(help="File with a label config, or the name of a shipped template.")
    ],
    backend: Annotated[
        str,
        typer.Option(
            help="Address of a running segmentation backend whose classes are used, such as "
            "http://localhost:7070; default: the classes of the shipped network."
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Check a label config against both backends, offline.

    Finds labels that match no class of the model, smart controls that Label Studio ignores, a
    missing control for masks, a wrong toName; each with its fix.
    """
    with reporting(as_json) as report:
        login = backend_pair(read_settings(ProjectSettings), "", "").login
        classes = ask_classes(backend, login) if backend else SHIPPED
        findings = report.checks(find_problems(read_template(template), classes))
        records = [finding_record(each) for each in findings]
        report.result({"template": template, "findings": records})
        if not findings:
            report.print(f"{template}: fine for both backends ({classes.source})")
    if any(each.status != "note" for each in findings):
        raise typer.Exit(EXIT_SOME_FAILED)
