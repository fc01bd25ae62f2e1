"""``segstudio prewarm``: precompute embeddings, so that no first click waits."""

import time
from collections import Counter

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import reporting
from segstudio.cli.options import (
    EXIT_CODES,
    EXIT_SOME_FAILED,
    JsonOption,
    ProjectOption,
    SamOption,
    command_app,
)
from segstudio.labelstudio.prewarm import Sam
from segstudio.labelstudio.prewarm import prewarm as prepare
from segstudio.local.connection import backend_pair, open_label_studio
from segstudio.settings import ProjectSettings

app = command_app()


@app.command(epilog=EXIT_CODES)
def prewarm(project: ProjectOption, sam: SamOption = "", as_json: JsonOption = False) -> None:
    """Precompute the embeddings of a project's images, so that no first click waits.

    The sam backend computes them while no labeler is being served, and keeps them
    (EMBEDDING_DISK_MB, REDIS_URL). Another run skips existing ones. Failed tasks are listed and
    counted by reason.
    """
    tally: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    begun = time.monotonic()
    with reporting(as_json) as report:
        settings = read_settings(ProjectSettings)
        pair = backend_pair(settings, "", sam)
        with open_label_studio(settings) as label_studio:
            found = label_studio.project(project)
            outcomes = prepare(label_studio, found, Sam(pair.sam, pair.login))
            for each in report.track(outcomes, "tasks", found.tasks):
                tally[each.outcome] += 1
                if each.outcome == "failed":
                    reasons[each.error] += 1
                    report.error(
                        f"task {each.task}: {each.reason}",
                        {"failed": each.reason, "task": each.task, "error": each.error},
                    )
        report.print(
            f"{tally['made']} images prepared, {tally['kept']} already prepared, "
            f"{tally['failed']} failed"
        )
        for error, count in reasons.most_common():
            report.print(f"  {count} of kind {error}", "red")
        report.result(
            {
                "project": project,
                **{name: tally[name] for name in ("made", "kept", "failed")},
                "reasons": dict(reasons),
                "seconds": round(time.monotonic() - begun, 3),
            }
        )
    if tally["failed"]:
        raise typer.Exit(EXIT_SOME_FAILED)
