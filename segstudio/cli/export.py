"""``segstudio export``: annotations in one of many formats."""

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
from segstudio.export.run import (
    POLYGON_FORMATS,
    SPLIT_FORMATS,
    Export,
    ExportSpec,
    Format,
    open_export,
)
from segstudio.export.splits import SplitRule

app = command_app()


@app.command(epilog=EXIT_CODES)
def export(
    projects: ProjectsOption,
    kind: Annotated[Format, typer.Option("--format", help="Format of the output; see above.")],
    out: Annotated[Path, typer.Option(help="File to write, or a folder; see above.")],
    manifest: ManifestOption = None,
    identifier_column: IdentifierOption = IDENTIFIER,
    annotator: Annotated[
        str, typer.Option(help="E-mail address of the only annotator to export; default: all.")
    ] = "",
    with_boxes: BoxesOption = False,
    with_images: Annotated[
        bool, typer.Option("--with-images", help="Include the image files.")
    ] = False,
    polygons: Annotated[
        bool,
        typer.Option("--polygons", help="Write brush strokes as polygons (coco, datumaro)."),
    ] = False,
    split: Annotated[
        str,
        typer.Option(
            help="Shares of the images to train, validate and test with, e.g. 80/10/10 "
            "(yolo, yolo-seg, voc, hf, datumaro, panoptic); default: all to train."
        ),
    ] = "",
    seed: Annotated[
        int, typer.Option(help="Seed of the split; the same seed gives the same split.")
    ] = 1,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Export the annotations of one or more projects.

    Counts are verified against Label Studio's own. The output has a row for each annotation,
    skipped ones too: the image's identifier and the annotator are the key, then a column for each
    control, the manifest's columns, and Label Studio's metadata.

    - **csv**, **parquet**: the rows. Several choices or labels are a list (in CSV: as JSON).

    - **jsonl**: the rows, and each annotation's unchanged result.

    - **masks**: a folder with an indexed PNG for each image and annotator, labels.csv (what each
    index stands for) and masks.csv (the rows, with the paths). Where labels overlap, the smaller
    region wins, and masks.csv counts the pixels.

    - **coco**: one file with every region, overlapping or not: brush strokes as RLE, the rest as
    polygons; each names its annotator.

    - **yolo-seg**, **yolo**: a folder for Ultralytics, with polygons or boxes and data.yaml.

    - **voc**, **panoptic**: folders as PASCAL VOC and COCO's panoptic task have them. Where regions
    overlap, the smaller one wins.

    - **hf**: a folder for Hugging Face's `datasets`: Parquet and a card, images in it.

    - **datumaro**: a folder that Datumaro and CVAT read.

    In the last six, each annotation of an image is a sample ANNOTATOR/IDENTIFIER; samples.csv lists
    them. With --split, all samples of an image are in one part. With --with-images, the image
    files are fetched and put into the folder; for a file, into a folder OUT.images next to it.
    After an interruption, the same command continues.

    Points are not masks, nor are rectangles in a project with a brush or polygons, except with
    --with-boxes. Both are counted, and included in jsonl. The output appears only when it is
    complete; another run replaces it. Label Studio: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, else
    that of `make up`.
    """
    if split and kind not in SPLIT_FORMATS:
        raise typer.BadParameter(f"--format {kind} has no parts, so --split cannot be used")
    if polygons and kind not in POLYGON_FORMATS:
        raise typer.BadParameter(f"--polygons cannot be used with --format {kind}")
    with reporting(as_json) as report, annotation_reader() as reader:
        spec = ExportSpec(
            projects=projects.ids,
            kind=kind,
            out=out,
            manifest=manifest,
            identifier_column=identifier_column,
            annotator=annotator,
            with_boxes=with_boxes,
            with_images=with_images,
            polygons=polygons,
            split=SplitRule.parse(split, seed),
            dry_run=dry_run,
        )
        with open_export(reader, spec, image_source) as work:
            _run(report, work)
    incomplete = any(work.tally[name] for name in ("problems", "without_row", "images_failed"))
    if incomplete or _has_nothing_by(annotator, work):
        raise typer.Exit(EXIT_SOME_FAILED)


def _has_nothing_by(annotator: str, work: Export) -> bool:
    """Return whether one annotator was asked for, and nothing is by them."""
    return bool(annotator) and not work.tally["annotations"] + work.tally["skipped"]


def _run(report: Report, work: Export) -> None:
    """Run an export with its progress bars, and report every problem."""
    begun = time.monotonic()
    if work.needs_survey:
        for _ in report.track(work.survey(), "tasks", work.tasks):
            pass
        for fetched in report.track(work.fetch(), "images", len(work.pictures)):
            if fetched.reason:
                picture = fetched.picture
                record = {"failed": fetched.reason, "identifier": picture.identifier}
                report.error(f"{picture.identifier}: {fetched.reason}", record)
    for problems in report.track(work.run(), "tasks", work.tasks):
        for problem in problems:
            report.error(problem.text, problem.record)
    _print_summary(report, work, time.monotonic() - begun)


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
    if spec.with_images and not spec.dry_run:
        report.print(f"{tally['images']} images; {tally['images_failed']} could not be fetched")
    if tally["without_row"]:
        report.error(
            f"{tally['without_row']} annotations are of images that the manifest does not have",
            {"failed": "not in the manifest", "annotations": tally["without_row"]},
        )
    if _has_nothing_by(spec.annotator, work):
        report.error(
            f"no annotation is by {spec.annotator}; without --annotator, the output has a column "
            "with the annotators",
            {"failed": "no annotation by this annotator", "annotator": spec.annotator},
        )
    report.result(
        {
            **counts,
            "without_row": tally["without_row"],
            "images": tally["images"],
            "images_failed": tally["images_failed"],
            "projects": [each.id for each in work.projects],
            "out": str(spec.out),
            "seconds": round(seconds, 3),
            "items_per_second": speed,
            "dry_run": spec.dry_run,
        }
    )
