"""``segstudio lint``: check a label config before labelers use it."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.checks import finding_record, print_checks
from segstudio.cli.console import reporting
from segstudio.cli.options import EXIT_CODES, EXIT_SOME_FAILED, JsonOption, command_app
from segstudio.labelstudio.config_fixes import fix as fix_config
from segstudio.labelstudio.lint import label_table
from segstudio.labelstudio.lint import lint as find_problems
from segstudio.labelstudio.ml_backends import SAM3, SHIPPED, Classes, ask_classes
from segstudio.local.connection import backend_pair
from segstudio.projects.templates import read_template
from segstudio.settings import ProjectSettings

app = command_app()

_COLUMNS = ("label", "classes", "smart tools")


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
    sam3: Annotated[
        bool,
        typer.Option(
            "--sam3",
            help="Check for SAM 3 in both backends, which finds what labels say and labelers type; "
            "with --backend, in the sam backend.",
        ),
    ] = False,
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Write the fixed label config to NAME.fixed.xml, next to the file."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a label config against both backends, offline.

    Lists problems with line and fix, and the model's class for each label.
    """
    with reporting(as_json) as report:
        settings = read_settings(ProjectSettings)
        login = backend_pair(settings, "", "").login
        offline = SAM3 if sam3 else replace(SHIPPED, learning=settings.learn != "off")
        classes = ask_classes(backend, login) if backend else offline
        classes = replace(classes, typed_prompts=sam3)
        config = read_template(template)
        findings = print_checks(report, find_problems(config, classes))
        labels = (
            [] if any(each.status == "error" for each in findings) else _labels(config, classes)
        )
        readable = all(each.subject != "XML" for each in findings)
        fixed, done = fix_config(config) if fix and findings and readable else ("", [])
        if done:
            target = Path(template).with_suffix(".fixed.xml")
            target.write_text(fixed, encoding="utf-8")
            report.print(f"wrote {target}:")
            for line in done:
                report.print(f"    {line}")
        report.result(
            {
                "template": template,
                "findings": [finding_record(each) for each in findings],
                "labels": [dict(zip(_COLUMNS, map(str, row), strict=True)) for row in labels],
                "fixed": done,
            }
        )
        if labels:
            report.table(_COLUMNS, labels)
        if not findings:
            report.print(f"{template}: no problems with both backends ({classes.source})")
    if any(each.status != "note" for each in findings):
        raise typer.Exit(EXIT_SOME_FAILED)


def _labels(config: str, classes: Classes) -> list[tuple[str, str, str]]:
    """Return each label with its classes and smart tools, a dash for none."""
    return [
        (label, found or "-", tools or "-") for label, found, tools in label_table(config, classes)
    ]
