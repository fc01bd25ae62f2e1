"""``segstudio export``: annotations as a table, masks or COCO."""

import time
from pathlib import Path
from typing import Annotated

import typer

from segstudio.cli.console import Report, reporting
from segstudio.cli.options import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    DryRunOption,
    JsonOption,
    command_app,
)
from segstudio.cli.selection import (
    BoxesOption,
    IdentifierOption,
    ManifestOption,
    ProjectsOption,
    annotation_reader,
    image_source,
)
from segstudio.data.manifest import IDENTIFIER
from segstudio.export.image_sizes import SizeFinder
from segstudio.export.run import Export, ExportSpec, Format, open_export

app = command_app()


@app.command(epilog=EXIT_CODES)
def export(
    projects: ProjectsOption,
    kind: Annotated[Format, typer.Option("--format", help="Format of the output; see above.")],
    out: Annotated[Path, typer.Option(help="File to write; for masks, a folder.")],
    manifest: ManifestOption = None,
    identifier_column: IdentifierOption = IDENTIFIER,
    annotator: Annotated[
        str, typer.Option(help="E-mail address of the one annotator to export; default: all.")
    ] = "",
    with_boxes: BoxesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export the annotations of one or more projects.

    What is read is counted against Label Studio's own counts. The output has a row for each
    annotation, skipped ones too: the image's identifier and the annotator are the key, then a
    column for each control, the manifest's columns, and what Label Studio notes.

    - **csv**, **parquet**: the rows. Several choices or labels are a list (in CSV: as JSON).

    - **jsonl**: the rows, and each annotation's result just as Label Studio holds it.

    - **masks**: a folder with an indexed PNG for each image and annotator, labels.csv (what each
    index stands for) and masks.csv (the rows, with the paths). Where labels overlap, the smaller
    region wins, and masks.csv counts the pixels.

    - **coco**: one file with every region, overlapping or not: brush strokes as RLE, the rest as
    polygons; each names its annotator.

    Points are not masks, nor are rectangles in a project with a brush or polygons, without
    --with-boxes. Both are counted, and in jsonl. The output appears only when it is complete;
    another run replaces it. Label Studio: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, else that of
    `make up`.
    """
    spec = ExportSpec(
        projects.ids, kind, out, manifest, identifier_column, annotator, with_boxes, dry_run
    )
    with (
        reporting(as_json) as report,
        annotation_reader() as reader,
        open_export(reader, spec, SizeFinder(reader, image_source)) as work,
    ):
        begun = time.monotonic()
        for problems in report.track(work.run(), "tasks", work.tasks):
            for problem in problems:
                report.error(problem.text, problem.record)
        _print_summary(report, work, time.monotonic() - begun)
    if work.tally["problems"] or work.tally["without_row"]:
        raise typer.Exit(EXIT_SOME_FAILED)


def _print_summary(report: Report, work: Export, seconds: float) -> None:
    tally, spec = work.tally, work.spec
    names = ("tasks", "annotations", "skipped", "regions", "left_out", "problems")
    speed = round(tally["tasks"] / max(seconds, 1e-3), 1)
    counts = {name: tally[name] for name in names}
    report.print(
        f"{counts['annotations']} annotations and {counts['skipped']} skipped of {counts['tasks']} "
        f"tasks{' would be' if spec.dry_run else ''} in {spec.out} ({speed} tasks/s)"
    )
    if counts["regions"] or counts["left_out"]:
        report.print(
            f"{counts['regions']} regions; {counts['left_out']} points, boxes or empty strokes "
            "left out (jsonl has them)"
        )
    if tally["without_row"]:
        report.error(
            f"{tally['without_row']} annotations are of images that the manifest does not have",
            {"failed": "not in the manifest", "annotations": tally["without_row"]},
        )
    report.result(
        {
            **counts,
            "without_row": tally["without_row"],
            "projects": [each.id for each in work.projects],
            "out": str(spec.out),
            "seconds": round(seconds, 3),
            "items_per_second": speed,
            "dry_run": spec.dry_run,
        }
    )
