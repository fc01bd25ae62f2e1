"""``segstudio project``: labeling projects."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from ml_backend.labelstudio.client import SEQUENTIAL, UNCERTAINTY, UNIFORM
from ml_backend.serving.settings import read_settings
from segstudio.cli.console import Report, reporting
from segstudio.cli.options import (
    EXIT_CODES,
    DryRunOption,
    JsonOption,
    SamOption,
    SegmentationOption,
    command_app,
)
from segstudio.data.manifest import IDENTIFIER, IMAGE
from segstudio.gcs.client import GoogleSettings, service_account
from segstudio.labelstudio.compatibility import check_served, known_classes
from segstudio.local.connection import backend_pair, open_label_studio
from segstudio.predict.shard_table import open_task_table
from segstudio.projects.create import ProjectBuilder, ProjectCopy, ProjectSpec
from segstudio.projects.sampling import SampleSize, parse_part
from segstudio.projects.tasks import TaskMapping, summarize
from segstudio.projects.templates import (
    read_template_with_codes,
    shows_images,
    task_fields,
)
from segstudio.settings import ProjectSettings

app = command_app()


class Sampling(StrEnum):
    """Orders of the label stream."""

    SEQUENTIAL = "sequential"
    UNIFORM = "uniform"
    UNCERTAINTY = "uncertainty"


_SAMPLINGS = {
    Sampling.SEQUENTIAL: SEQUENTIAL,
    Sampling.UNIFORM: UNIFORM,
    Sampling.UNCERTAINTY: UNCERTAINTY,
}


@app.callback()
def group() -> None:
    """Create labeling projects."""


@app.command(epilog=EXIT_CODES)
def create(
    template: Annotated[
        str,
        typer.Option(
            help="Label config: a file, or one of runway_fashion, polygons, visual_coding, "
            "video_coding, audio_coding."
        ),
    ],
    title: Annotated[str, typer.Option(help="Project title. With --copies, a number is appended.")],
    tasks: Annotated[
        str,
        typer.Option(
            help="CSV with a row for each image, as `segstudio media upload` writes it; or shards "
            "with predictions, in a folder or gs://, as `segstudio predict --out` writes them."
        ),
    ],
    image_column: Annotated[
        str,
        typer.Option(
            help="Column with the references of images, video or audio (gs://, http://). Not used "
            "if the template shows several fields: each comes from the column of its name."
        ),
    ] = IMAGE,
    identifier_column: Annotated[
        str, typer.Option(help="Column with a unique value in each row; joins labels to rows.")
    ] = IDENTIFIER,
    meta: Annotated[
        str, typer.Option(help="Columns for the labeling page, separated by commas: Name,Theme.")
    ] = "",
    share: Annotated[
        str, typer.Option("--sample", help="Random sample of the rows: 30%, or 200.")
    ] = "100%",
    seed: Annotated[
        int,
        typer.Option(
            help="Seed of the sample and of --control; the same seed draws the same rows."
        ),
    ] = 1,
    sampling: Annotated[
        Sampling,
        typer.Option(
            help="Order of the label stream; uncertainty: lowest scores first, so those that the "
            "model is least sure of."
        ),
    ] = Sampling.UNIFORM,
    control: Annotated[
        str,
        typer.Option(
            help="Random part of the tasks, e.g. 10%, that gets no suggestions, so that "
            "`segstudio report` can measure the time they save; default: none."
        ),
    ] = "",
    copies: Annotated[
        int, typer.Option(min=1, max=99, help="Projects with the same tasks, one per annotator.")
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
        typer.Option(
            help="Connect both backends if the template shows images; --no-backends: for codes "
            "only."
        ),
    ] = True,
    segmentation: SegmentationOption = "",
    sam: SamOption = "",
    delimiter: Annotated[str, typer.Option(help="Character between the cells of the CSV.")] = ",",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create a project, or a copy of it for each annotator, and fill it with tasks.

    The rows of the CSV become tasks with their columns. If images are gs://, the bucket is
    connected with the service account. Both backends are connected, so that garments are found
    when a task is opened. The same command finds the same projects again and adds only what is
    missing. Label Studio: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, else that of `make up`.
    """
    if len(delimiter) != 1:
        raise typer.BadParameter("--delimiter takes one character")
    with reporting(as_json) as report:
        config = read_template_with_codes(template, choices or (), multiple or ())
        names = tuple(dict.fromkeys(name.strip() for name in meta.split(",") if name.strip()))
        mapping = TaskMapping(identifier_column, image_column, task_fields(config), names)
        settings = read_settings(ProjectSettings)
        served = backends and shows_images(config)
        pair = backend_pair(settings, segmentation, sam) if served else None
        if pair:
            check_served(config, known_classes(pair))
        google = read_settings(GoogleSettings)
        table = open_task_table(tasks, delimiter, google)
        mapping.check(table.columns)
        found = summarize(table, mapping)
        key = service_account(google) if found.buckets else None
        part, size, order = parse_part(control), SampleSize.parse(share), _SAMPLINGS[sampling]
        spec = ProjectSpec(title, config, mapping, size, seed, copies, part, order)
        with open_label_studio(settings) as label_studio:
            builder = ProjectBuilder(label_studio, spec, table, found, pair, key, dry_run)
            made = [_fill_and_connect(report, builder, copy) for copy in builder.copies()]
        _print_summary(report, builder, made)


def _fill_and_connect(report: Report, builder: ProjectBuilder, copy: ProjectCopy) -> dict[str, Any]:
    """Fill and connect a copy; return its record in the output."""
    with report.progress(copy.title, builder.size) as bar:
        added, present = builder.fill(copy.id, bar.advance)
    if copy.id is not None and not builder.dry_run:
        builder.connect(copy.id)
    return {
        "id": copy.id,
        "title": copy.title,
        "url": copy.id and builder.label_studio.page(copy.id),
        "created": copy.created,
        "added": added,
        "present": present,
    }


def _print_summary(report: Report, builder: ProjectBuilder, made: list[dict[str, Any]]) -> None:
    would = "would be " if builder.dry_run else ""
    for each in made:
        report.print(
            f"{each['title']}: {each['added']} tasks {would}added, {each['present']} there "
            f"already{': ' + each['url'] if each['url'] else ' (a new project)'}"
        )
    if builder.found.buckets and not builder.key:
        report.print(
            "No bucket is connected, so Label Studio cannot show gs:// images: set "
            "GOOGLE_APPLICATION_CREDENTIALS_BASE64 and run this command again",
            "yellow",
        )
    report.result(
        {
            "projects": made,
            "rows": builder.found.rows,
            "tasks": builder.size,
            "buckets": list(builder.found.buckets) if builder.key else [],
            "dry_run": builder.dry_run,
        }
    )
