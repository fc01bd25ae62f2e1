"""Records of tasks: their outcomes counted, and their failures logged."""

from collections.abc import Sequence
from itertools import islice

import structlog

from ml_backend.errors import TaskError
from ml_backend.images import redact
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.schemas import PredictRequest, Task
from ml_backend.labelstudio.task_images import references
from ml_backend.serving.metrics import Metrics
from ml_backend.serving.service import Outcome

log = structlog.get_logger(__name__)

_MOST_REFERENCES = 5


def record_tasks(
    body: PredictRequest, outcomes: Sequence[Outcome], metrics: Metrics, admitted: int
) -> None:
    """Count all outcomes, and log the failures; those of tasks above the limit share one line.

    Args:
        body: The call.
        outcomes: Outcome of each task.
        metrics: Metrics of the app.
        admitted: Maximum tasks of a call, MAX_TASKS.
    """
    for outcome in outcomes:
        metrics.tasks.labels(_kind(outcome)).inc()
    for task, outcome in islice(zip(body.tasks, outcomes, strict=True), admitted):
        if isinstance(outcome, TaskError):
            log.warning(
                "task_failed",
                task=task.id,
                references=_references(task, body.label_config),
                error=outcome.kind,
                reason=str(outcome),
            )
    if len(outcomes) > admitted:
        log.warning("tasks_above_limit", count=len(outcomes) - admitted, reason=str(outcomes[-1]))


def _kind(outcome: Outcome) -> str:
    if isinstance(outcome, TaskError):
        return outcome.kind
    return "none" if outcome is None else "predicted"


def _references(task: Task, label_config: str) -> list[str]:
    """Return the task's image references for a log, without signatures and embedded images."""
    images = islice(parse_label_config(label_config).images.values(), _MOST_REFERENCES)
    found = (reference for image in images for reference in references(task.data, image))
    return [redact(reference) for reference in islice(found, _MOST_REFERENCES)]
