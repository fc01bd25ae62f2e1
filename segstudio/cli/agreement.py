"""``segstudio agreement``: how far annotators agree."""

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segstudio.cli.console import EXIT_SOME_FAILED, JsonOption, Report, reporting
from segstudio.cli.selection import (
    IDENTIFIER_DEFAULT,
    BoxesOption,
    IdentifierOption,
    ManifestOption,
    ProjectsOption,
    annotation_reader,
)

if TYPE_CHECKING:
    from segstudio.agreement.annotation_store import AnnotationStore
    from segstudio.agreement.compare import ChoiceAgreement, Comparison, MaskAgreement
    from segstudio.export.manifest_join import Manifest
    from segstudio.labelstudio.annotations import AnnotationReader, LabeledProject


class Rater(StrEnum):
    """Who is compared."""

    ANNOTATOR = "annotator"
    PROJECT = "project"


def agreement(
    projects: ProjectsOption,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write: agreement.csv, images.csv and agreement.png."),
    ] = None,
    by: Annotated[
        Rater, typer.Option(help="Who is compared: accounts, or copies of one project.")
    ] = Rater.ANNOTATOR,
    top: Annotated[int, typer.Option(min=0, help="How many images to show.")] = 10,
    manifest: ManifestOption = None,
    identifier_column: IdentifierOption = IDENTIFIER_DEFAULT,
    with_boxes: BoxesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell how far annotators agree on the images that two or more have annotated.

    - **Choices**: Cohen's kappa (mean over pairs of annotators) and Krippendorff's alpha
    (nominal), for a control as a whole where one choice is given, and for each choice: does it
    apply or not. 1 is full agreement, 0 what chance gives; Krippendorff asks for 0.8, and 0.667
    for tentative conclusions. A dash: undefined, all chose the same.

    - **Masks**: mean IoU and boundary F of each label over all pairs of whom one at least marked
    it; where just one did, both are 0. Boundary F: the share of outlines that lie within 0.8 % of
    the image's diagonal of the other's.

    - **Images** that people disagree on most: 0 is full agreement, 1 none.

    Skipped annotations do not count; of several by one annotator on an image, the latest does.
    Nothing is written without --out. Label Studio: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY,
    else that of `make up`.
    """
    from segstudio.agreement.annotation_store import AnnotationStore
    from segstudio.agreement.compare import Comparison, choice_agreement
    from segstudio.agreement.report import write_agreement
    from segstudio.data.tables import CsvTable
    from segstudio.export.manifest_join import Manifest

    with reporting(as_json) as report, annotation_reader() as reader, AnnotationStore() as spool:
        found = [reader.project(id_) for id_ in projects.ids]
        table = CsvTable(manifest) if manifest else None
        with Manifest(table, identifier_column) as rows:
            problems = _read(report, reader, found, rows, spool, by, with_boxes)
        with Comparison(spool) as comparison:
            with report.progress("images", len(spool)) as advance:
                comparison.run(advance)
            controls = {
                control.name: control
                for project in found
                for control in project.controls
                if control.type == "choices"
            }
            choices = [each for c in controls.values() for each in choice_agreement(spool, c)]
            masks = comparison.masks()
            _tell(report, spool, comparison, choices, masks, top)
            if out:
                write_agreement(out, comparison, choices, masks)
                report.print(f"written: {out}")
            problems += len(comparison.mismatched)
    if problems:
        raise typer.Exit(EXIT_SOME_FAILED)


def _read(
    report: Report,
    reader: "AnnotationReader",
    projects: "list[LabeledProject]",
    manifest: "Manifest",
    spool: "AnnotationStore",
    by: Rater,
    with_boxes: bool,
) -> int:
    """Store all annotations; returns how many regions and answers cannot be told."""
    from segstudio.export.mask_regions import draw
    from segstudio.labelstudio.results import faults

    problems = 0
    with report.progress("tasks", sum(project.counts.tasks for project in projects)) as advance:
        for project in projects:
            for task in reader.tasks(project):
                identifier, _ = manifest.find(task)
                for annotation in task.annotations:
                    if annotation.skipped:
                        continue
                    drawing = draw(task, annotation, with_boxes=with_boxes)
                    copy = f"project {project.id}"
                    rater = annotation.annotator if by is Rater.ANNOTATOR else copy
                    spool.add(identifier, rater, task, annotation, drawing)
                    for region, reason in (*drawing.problems, *faults(annotation.result)):
                        problems += 1
                        report.error(
                            f"{identifier}: {reason} (annotation {annotation.id}, {region})",
                            {"failed": reason, "identifier": identifier, "region": region},
                        )
                advance()
    return problems


def _tell(
    report: Report,
    spool: "AnnotationStore",
    comparison: "Comparison",
    choices: "Sequence[ChoiceAgreement]",
    masks: "Sequence[MaskAgreement]",
    top: int,
) -> None:
    images, raters = list(comparison.images(top)), spool.raters()
    report.print(f"{len(spool)} images by two or more of: {', '.join(raters)}")
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
    for identifier in comparison.mismatched:
        report.error(
            f"{identifier}: its masks are of different sizes, so they are not compared",
            {"failed": "masks of different sizes", "identifier": identifier},
        )
    report.result(
        {
            "images": len(spool),
            "annotators": raters,
            "choices": [asdict(each) for each in choices],
            "masks": [asdict(each) for each in masks],
            "most_disagreement": [asdict(each) for each in images],
        }
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
