"""``segstudio report``: progress of labeling as one page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from segstudio.cli.console import Report, reporting
from segstudio.cli.options import EXIT_CODES, EXIT_SOME_FAILED, JsonOption, command_app
from segstudio.cli.selection import (
    IdentifierOption,
    ManifestOption,
    ProjectsOption,
    annotation_reader,
    image_source,
)
from segstudio.data.atomic_files import atomic_write
from segstudio.data.manifest import IDENTIFIER
from segstudio.data.tables import CsvTable
from segstudio.export.manifest_join import Manifest
from segstudio.export.palette import Palette
from segstudio.report.facts import FactsReader
from segstudio.report.numbers import numbers, write_numbers
from segstudio.report.page import render
from segstudio.report.thumbnails import draw_thumbnails

app = command_app()


@app.command(epilog=EXIT_CODES)
def report(
    projects: ProjectsOption,
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    csv: Annotated[
        Path | None, typer.Option("--csv", help="CSV file to write the same numbers to.")
    ] = None,
    sample: Annotated[
        int,
        typer.Option(min=1, help="Number of labeled tasks whose regions are compared, at random."),
    ] = 500,
    pictures: Annotated[
        int, typer.Option(min=0, help="Number of most changed images to show.")
    ] = 6,
    manifest: ManifestOption = None,
    identifier_column: IdentifierOption = IDENTIFIER,
    as_json: JsonOption = False,
) -> None:
    """Write a report on projects: progress, pace, value of the suggestions.

    Suggested regions are compared with what annotators submitted: kept as they were (IoU of 0.95 or
    more, the same label), corrected, relabelled, deleted; and regions that they added. The IoU of
    suggestion and submission, by label and by model version, shows what learning brings. Time saved
    is measured in projects with `segstudio project create --control 10%`.

    All tasks are counted; regions are compared in a random sample of them. The page is one file
    without scripts. Label Studio: LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, else that of
    `make up`.
    """
    with reporting(as_json) as output, annotation_reader() as reader:
        found = [reader.project(id_) for id_ in projects.ids]
        with Manifest(CsvTable(manifest) if manifest else None, identifier_column) as rows:
            facts_reader = FactsReader(reader, found, rows, sample, pictures)
            unreadable = _read(output, facts_reader)
        facts = facts_reader.facts
        changed = output.track(facts.changed, "pictures", len(facts.changed))
        thumbnails = draw_thumbnails(changed, Palette(found), image_source)
        made_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        with atomic_write(out) as part:
            part.write_text(render(facts, thumbnails, made_at), encoding="utf-8")
        if csv:
            write_numbers(csv, facts)
        kept, suggested = facts.total.fates["kept"], facts.total.suggested
        output.print(
            f"{out}: {sum(p.labeled for p in facts.projects.values())} labeled tasks; of "
            f"{suggested} suggested regions in a sample, {kept} were kept as they were"
        )
        output.result({"out": str(out), "numbers": [list(row) for row in numbers(facts)]})
    if unreadable:
        raise typer.Exit(EXIT_SOME_FAILED)


def _read(output: Report, facts_reader: FactsReader) -> int:
    """Read all facts; return the number of ignored regions."""
    tasks = sum(project.counts.tasks for project in facts_reader.projects)
    for _ in output.track(facts_reader.survey(), "tasks", tasks):
        pass
    count = 0
    for problems in output.track(facts_reader.compare(), "sample", facts_reader.sample_size):
        for each in problems:
            count += 1
            record = {"failed": each.reason, "task": each.task, "region": each.region}
            output.error(
                f"{each.identifier}: {each.reason} (task {each.task}, region {each.region})", record
            )
    return count
