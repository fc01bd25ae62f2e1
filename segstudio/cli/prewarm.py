"""``segstudio prewarm``: no labeler waits for a first click."""

import time
from collections import Counter

import typer

from ml_backend.serving.settings import read_settings
from segstudio.cli.console import EXIT_SOME_FAILED, JsonOption, ProjectOption, SamOption, reporting


def prewarm(project: ProjectOption, sam: SamOption = "", as_json: JsonOption = False) -> None:
    """Prepare all images of a project for the smart tools, so that no first click waits.

    The sam backend does it, whenever no labeler is being served, and keeps what it prepared
    (EMBEDDING_DISK_MB, REDIS_URL). Run again, it passes over what is there. Failed tasks are named
    and counted by their reasons.
    """
    from segstudio.labelstudio.prewarm import Sam
    from segstudio.labelstudio.prewarm import prewarm as prepare
    from segstudio.local.connection import backend_pair, open_label_studio
    from segstudio.settings import ProjectSettings

    tally: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    begun = time.monotonic()
    with reporting(as_json) as report:
        settings = read_settings(ProjectSettings)
        pair = backend_pair(settings, "", sam)
        with open_label_studio(settings) as label_studio:
            found = label_studio.project(project)
            with report.progress("tasks", found.tasks) as advance:
                for each in prepare(label_studio, found, Sam(pair.sam, pair.login)):
                    tally[each.outcome] += 1
                    if each.outcome == "failed":
                        reasons[each.error] += 1
                        report.error(
                            f"task {each.task}: {each.reason}",
                            {"failed": each.reason, "task": each.task, "error": each.error},
                        )
                    advance()
        report.print(
            f"{tally['made']} images prepared, {tally['kept']} were, {tally['failed']} failed"
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
