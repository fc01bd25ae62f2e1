"""``segstudio consensus``: the annotations of several annotators, merged for review."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ml_backend.labelstudio.annotations import AnnotationReader
from ml_backend.serving.settings import read_settings
from segstudio.agreement.annotation_store import AnnotationStore
from segstudio.agreement.collect import AnnotationCollector, Rater
from segstudio.agreement.compare import Comparison
from segstudio.cli.agreement import collect_annotations
from segstudio.cli.console import Report, reporting
from segstudio.cli.options import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    DryRunOption,
    JsonOption,
    command_app,
)
from segstudio.cli.selection import BoxesOption, IdentifierOption, ManifestOption, ProjectsOption
from segstudio.consensus.maps import write_maps
from segstudio.consensus.merge import Method
from segstudio.consensus.review import ReviewProject
from segstudio.consensus.votes import Consensus, Merger, Scores, TaskIndex
from segstudio.data.manifest import IDENTIFIER
from segstudio.data.tables import CsvTable
from segstudio.export.manifest_join import Manifest
from segstudio.local.connection import open_label_studio
from segstudio.settings import ProjectSettings

app = command_app()


@app.command(epilog=EXIT_CODES)
def consensus(
    projects: ProjectsOption,
    title: Annotated[str, typer.Option(help="Title of the review project.")],
    method: Annotated[
        Method, typer.Option(help="How masks are merged; see above.")
    ] = Method.MAJORITY,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write: consensus.csv, and a disagreement map for each image."),
    ] = None,
    by: Annotated[
        Rater, typer.Option(help="Who is an annotator: accounts, or copies of one project.")
    ] = Rater.ANNOTATOR,
    manifest: ManifestOption = None,
    identifier_column: IdentifierOption = IDENTIFIER,
    with_boxes: BoxesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Merge the annotations of several annotators into a review project.

    - **majority**: the pixels of each label that more than half of the annotators marked.

    - **staple**: the pixels that most likely belong to the label, by how reliable each annotator is
    (Warfield et al., 2004).

    Of choices, the one with the most votes counts; if several may be chosen, those with more than
    half of the votes. The result is a prediction in the review project, for a reviewer to correct,
    the image that annotators disagree on most first. The same command updates the project: changed
    images get a new prediction, and those that the reviewer has annotated are not modified.
    """
    with reporting(as_json) as report, ExitStack() as stack:
        label_studio = stack.enter_context(open_label_studio(read_settings(ProjectSettings)))
        reader = AnnotationReader(label_studio)
        found = [reader.project(id_) for id_ in projects.ids]
        table = CsvTable(manifest) if manifest else None
        rows = stack.enter_context(Manifest(table, identifier_column))
        store, tasks = stack.enter_context(AnnotationStore()), stack.enter_context(TaskIndex())
        collector = AnnotationCollector(reader, found, rows, store, by, with_boxes, tasks.add)
        problems = collect_annotations(report, collector)
        comparison = stack.enter_context(Comparison(store))
        with report.progress("comparing", len(store)) as bar:
            comparison.run(bar.advance)
        scores = stack.enter_context(Scores(comparison))
        merger = Merger(store, tasks, scores, method, found)
        review = ReviewProject(
            label_studio=label_studio,
            title=title,
            label_config=label_studio.project(projects.ids[0]).label_config,
            version=f"consensus-{method}",
            sources=projects.ids,
            dry_run=dry_run,
        )
        created = review.open()
        lost = _write(report, merger, review, None if dry_run else out)
        _print_summary(report, review, created)
    if problems or lost:
        raise typer.Exit(EXIT_SOME_FAILED)


def _write(report: Report, merger: Merger, review: ReviewProject, out: Path | None) -> int:
    """Merge and write all images; return the number of labels that the project cannot have."""
    identifiers, lost = merger.identifiers(), 0
    with ExitStack() as stack:
        add_map = stack.enter_context(write_maps(out)) if out else None

        def merged() -> Iterator[Consensus]:
            for identifier in identifiers:
                consensus = merger.merge(identifier)
                if add_map:
                    add_map(consensus)
                yield consensus

        for each in report.track(review.write(merged()), "images", len(identifiers)):
            for label in each.lost:
                lost += 1
                identifier = each.consensus.identifier
                reason = f"the label config has no mask control with {label!r}"
                record = {"failed": reason, "identifier": identifier}
                report.error(f"{identifier}: {reason}", record)
    return lost


def _print_summary(report: Report, review: ReviewProject, created: bool) -> None:
    counts = {name: review.tally[name] for name in ("created", "updated", "unchanged", "reviewed")}
    would = "would be " if review.dry_run else ""
    page = review.label_studio.page(review.id) if review.id else "a new project"
    report.print(
        f"{review.title}: {counts['created']} images {would}added, {counts['updated']} "
        f"{would}updated, {counts['unchanged']} unchanged, {counts['reviewed']} reviewed already: "
        f"{page}"
    )
    report.result(
        {
            **counts,
            "project": review.id,
            "new_project": created,
            "url": page if review.id else None,
            "dry_run": review.dry_run,
        }
    )
