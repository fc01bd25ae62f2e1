"""``segstudio project``: the projects that people label in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import (
    EXIT_CODES,
    DryRunOption,
    JsonOption,
    Report,
    SamOption,
    SegmentationOption,
    reporting,
)
from segstudio.data.manifest import IDENTIFIER, IMAGE

if TYPE_CHECKING:
    from segstudio.projects.create import ProjectBuilder, ProjectCopy
    from segstudio.projects.tasks import TaskMapping

app = typer.Typer(no_args_is_help=True, epilog=EXIT_CODES)


@app.callback()
def group() -> None:
    """Make labeling projects."""


@app.command(epilog=EXIT_CODES)
def create(
    template: Annotated[
        str,
        typer.Option(help="Label config: a file, or runway_fashion, visual_coding, polygons."),
    ],
    title: Annotated[str, typer.Option(help="Of the project; copies get a number behind it.")],
    tasks: Annotated[
        str,
        typer.Option(
            help="CSV with a row an image, as `segstudio images upload` writes it; or shards with "
            "predictions, in a folder or gs://, as `segstudio predict --out` does."
        ),
    ],
    image_column: Annotated[
        str, typer.Option(help="Column with the images' references (gs://, http://).")
    ] = IMAGE,
    identifier_column: Annotated[
        str, typer.Option(help="Column that is different in each row; joins labels to rows.")
    ] = IDENTIFIER,
    meta: Annotated[
        str, typer.Option(help="Columns for the labeling page, with commas: Name,Theme.")
    ] = "",
    share: Annotated[
        str, typer.Option("--sample", help="Part of the rows, drawn at random: 30%, or 200.")
    ] = "100%",
    seed: Annotated[int, typer.Option(help="The same seed draws the same rows.")] = 1,
    copies: Annotated[
        int, typer.Option(min=1, max=99, help="Projects with the same tasks, one an annotator.")
    ] = 1,
    choices: Annotated[
        list[str] | None,
        typer.Option(help='Add a code with one answer: "Sentiment=Positive,Negative"; repeatable.'),
    ] = None,
    multiple: Annotated[
        list[str] | None,
        typer.Option(help='Add a code with several answers: "Objects=Flag,Person"; repeatable.'),
    ] = None,
    backends: Annotated[
        bool,
        typer.Option(help="Connect both backends; without, the project is for codes alone."),
    ] = True,
    segmentation: SegmentationOption = "",
    sam: SamOption = "",
    delimiter: Annotated[str, typer.Option(help="Between the cells of the CSV.")] = ",",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a project, or a copy of it for each annotator, and fill it with tasks.

    The rows of the CSV become tasks with their columns. Where images are gs://, the bucket is
    connected with the service account. Both backends are connected, so that garments are found
    when a task is opened. Run again, the same command finds the same projects and adds only what
    is missing. Label Studio: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, else that of `make up`.
    """
    from segstudio.data.tables import CsvTable, Table
    from segstudio.gcs.client import GoogleSettings, service_account
    from segstudio.labelstudio.compatibility import check_served, known_classes
    from segstudio.local.connection import backend_pair, open_label_studio
    from segstudio.predict.shard_table import ShardTable, is_shards
    from segstudio.projects.create import ProjectBuilder, ProjectSpec
    from segstudio.projects.sampling import SampleSize
    from segstudio.projects.tasks import summarize
    from segstudio.settings import ProjectSettings

    if len(delimiter) != 1:
        raise typer.BadParameter("--delimiter takes one character")
    with reporting(as_json) as report:
        config = _label_config(template, choices or [], multiple or [])
        rule = _rule(config, identifier_column, image_column, meta)
        settings = read_settings(ProjectSettings)
        pair = backend_pair(settings, segmentation, sam) if backends else None
        if pair:
            check_served(config, known_classes(pair))
        google = read_settings(GoogleSettings)
        if is_shards(tasks):
            table: Table = ShardTable(tasks, google)
        else:
            table = CsvTable(Path(tasks), delimiter)
        rule.check(table.columns)
        found = summarize(table, rule)
        key = service_account(google) if found.buckets else None
        order = ProjectSpec(title, config, rule, SampleSize.parse(share), seed, copies)
        with open_label_studio(settings) as label_studio:
            creation = ProjectBuilder(label_studio, order, table, found, pair, key, dry_run)
            made = [_bring(report, creation, copy) for copy in creation.copies()]
        _tell(report, creation, made)


def _label_config(template: str, choices: list[str], multiple: list[str]) -> str:
    from segstudio.projects.templates import Code, add_codes, read_template

    codes = [Code.parse(text, multiple=False) for text in choices]
    codes += [Code.parse(text, multiple=True) for text in multiple]
    return add_codes(read_template(template), codes)


def _rule(config: str, identifier_column: str, image_column: str, meta: str) -> "TaskMapping":
    from segstudio.projects.tasks import TaskMapping
    from segstudio.projects.templates import image_key

    names = tuple(dict.fromkeys(name.strip() for name in meta.split(",") if name.strip()))
    return TaskMapping(identifier_column, image_column, image_key(config), names)


def _bring(report: Report, creation: "ProjectBuilder", copy: "ProjectCopy") -> dict[str, Any]:
    """Fill and connect one copy; returns what is told of it."""
    with report.progress(copy.title, creation.size) as advance:
        added, present = creation.fill(copy.id, advance)
    if copy.id is not None and not creation.dry_run:
        creation.connect(copy.id)
    return {
        "id": copy.id,
        "title": copy.title,
        "url": copy.id and creation.label_studio.page(copy.id),
        "created": copy.created,
        "added": added,
        "present": present,
    }


def _tell(report: Report, creation: "ProjectBuilder", made: list[dict[str, Any]]) -> None:
    would = "would be " if creation.dry_run else ""
    for each in made:
        report.print(
            f"{each['title']}: {each['added']} tasks {would}added, {each['present']} there "
            f"already{': ' + each['url'] if each['url'] else ' (a new project)'}"
        )
    if creation.found.buckets and not creation.key:
        report.print(
            "No bucket is connected, so Label Studio cannot show gs:// images: set "
            "GOOGLE_APPLICATION_CREDENTIALS_BASE64 and run this again",
            "yellow",
        )
    report.result(
        {
            "projects": made,
            "rows": creation.found.rows,
            "tasks": creation.size,
            "buckets": list(creation.found.buckets) if creation.key else [],
            "dry_run": creation.dry_run,
        }
    )
