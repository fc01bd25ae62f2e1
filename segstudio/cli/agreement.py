"""``segstudio agreement``: inter-annotator agreement."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from segstudio.agreement.annotation_store import AnnotationStore
from segstudio.agreement.collect import AnnotationCollector, Rater
from segstudio.agreement.compare import Comparison
from segstudio.agreement.report import Agreement, measure_agreement, write_agreement
from segstudio.cli.console import Report, reporting
from segstudio.cli.options import EXIT_CODES, EXIT_SOME_FAILED, JsonOption, command_app
from segstudio.cli.selection import (
    BoxesOption,
    IdentifierOption,
    ManifestOption,
    ProjectsOption,
    annotation_reader,
)
from segstudio.data.manifest import IDENTIFIER
from segstudio.data.tables import CsvTable
from segstudio.export.manifest_join import Manifest

app = command_app()


@app.command(epilog=EXIT_CODES)
def agreement(
    projects: ProjectsOption,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write: agreement.csv, images.csv and agreement.png."),
    ] = None,
    by: Annotated[
        Rater, typer.Option(help="Who is compared: accounts, or copies of one project.")
    ] = Rater.ANNOTATOR,
    top: Annotated[
        int, typer.Option(min=0, help="Number of images with the highest disagreement to show.")
    ] = 10,
    manifest: ManifestOption = None,
    identifier_column: IdentifierOption = IDENTIFIER,
    with_boxes: BoxesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure inter-annotator agreement on images with two or more annotations.

    - **Choices**: Cohen's kappa (mean over pairs of annotators) and Krippendorff's alpha
    (nominal), for a control as a whole where one choice is given, and for each choice: does it
    apply or not. 1 is full agreement, 0 what chance gives; Krippendorff asks for 0.8, and 0.667
    for tentative conclusions. A dash: undefined, all chose the same.

    - **Masks**: mean IoU and boundary F of each label, over all pairs of annotators of whom at
    least one marked it; where only one did, both are 0. Boundary F: the share of outlines that lie
    within 0.8 % of the image's diagonal of the other's.

    - **Images** with the highest disagreement: 0 is full agreement, 1 none.

    Skipped annotations do not count; of several by one annotator on an image, the latest does.
    Nothing is written without --out. Label Studio: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY,
    else that of `make up`.
    """
    with reporting(as_json) as report, annotation_reader() as reader, AnnotationStore() as store:
        found = [reader.project(id_) for id_ in projects.ids]
        with Manifest(CsvTable(manifest) if manifest else None, identifier_column) as rows:
            collector = AnnotationCollector(reader, found, rows, store, by, with_boxes)
            problems = collect_annotations(report, collector)
        with Comparison(store) as comparison:
            with report.progress("images", len(store)) as bar:
                comparison.run(bar.advance)
            measured = measure_agreement(store, comparison, found, top)
            _print_agreement(report, measured)
            if out:
                write_agreement(out, comparison, measured)
                report.print(f"written: {out}")
    if problems or measured.mismatched:
        raise typer.Exit(EXIT_SOME_FAILED)


def collect_annotations(report: Report, collector: AnnotationCollector) -> int:
    """Read all annotations; return the number of regions and answers that cannot be compared."""
    count = 0
    for problems in report.track(collector.run(), "tasks", collector.tasks):
        for each in problems:
            count += 1
            report.error(
                f"{each.identifier}: {each.reason} (task {each.task}, annotation "
                f"{each.annotation}, region {each.region})",
                {
                    "failed": each.reason,
                    "identifier": each.identifier,
                    "task": each.task,
                    "region": each.region,
                },
            )
    return count


def _print_agreement(report: Report, measured: Agreement) -> None:
    choices, masks, images = measured.choices, measured.masks, measured.most_disagreement
    report.print(f"{measured.images} images by two or more of: {', '.join(measured.raters)}")
    if choices:
        report.table(
            ("choices", "", "images", "kappa", "alpha"),
            (
                (c.control, c.choice or "(all)", str(c.images), _number(c.kappa), _number(c.alpha))
                for c in choices
            ),
        )
    if masks:
        report.table(
            ("masks", "pairs", "by one only", "IoU", "boundary F"),
            (
                (m.label, str(m.pairs), str(m.one_sided), _number(m.iou), _number(m.boundary_f))
                for m in masks
            ),
        )
    if images:
        report.table(
            ("most disagreement", "", "most of all on"),
            ((each.identifier, _number(each.score), each.worst) for each in images),
        )
    for identifier in measured.mismatched:
        report.error(
            f"{identifier}: its masks have different sizes and are not compared",
            {"failed": "masks of different sizes", "identifier": identifier},
        )
    report.result(
        {
            "images": measured.images,
            "annotators": measured.raters,
            "choices": [asdict(each) for each in choices],
            "masks": [asdict(each) for each in masks],
            "most_disagreement": [asdict(each) for each in images],
        }
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
