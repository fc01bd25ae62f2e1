"""Precompute embeddings of opened tasks while no labeler waits, before the first click."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from ml_backend.deadline import Deadline
from ml_backend.errors import TaskError
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.predictor import references_alone
from ml_backend.labelstudio.schemas import Task
from ml_backend.serving.executor import Job
from sam_backend.metrics import SamMetrics
from sam_backend.predictor import SamPredictor

log = structlog.get_logger(__name__)

WAITING = 200
"""Maximum number of waiting tasks; more would be from a batch that nobody is looking at."""

_TASK_SECONDS = 120.0

Ahead = Callable[[Task], Sequence[Task]]
"""Returns the tasks that most likely follow one; none if unknown."""


@dataclass(frozen=True)
class _Order:
    task: Task
    label_config: LabelConfig
    opened: bool
    """Whether a labeler may be looking at it now, or only soon."""


class Prewarmer:
    """Prepares tasks one by one in the background, with ``SamPredictor.prewarm``.

    The task opened last is prepared first; if there are too many, those waiting longest are
    dropped. The same holds for upcoming tasks, but only when no opened one waits.

    Args:
        metrics: Counters of outcomes.
        ahead: Returns the upcoming tasks.
    """

    def __init__(self, metrics: SamMetrics, ahead: Ahead) -> None:
        self._metrics = metrics
        self._ahead = ahead
        self._orders: deque[_Order] = deque()
        self._changed = threading.Condition()

    def start(self, predictor: SamPredictor) -> None:
        """Start the thread; tasks may have been offered before."""
        # A daemon thread: what is not prepared yet is computed on the first click.
        threading.Thread(target=self._run, args=(predictor,), name="prewarm", daemon=True).start()

    def offer(self, tasks: Sequence[Task], label_config: LabelConfig) -> None:
        """Add opened tasks; returns at once."""
        self._enqueue(tasks[::-1], label_config, opened=True)

    def _enqueue(self, tasks: Sequence[Task], label_config: LabelConfig, opened: bool) -> None:
        with self._changed:
            for task in tasks:
                order = _Order(references_alone(task, label_config), label_config, opened)
                if opened:
                    self._orders.append(order)
                elif len(self._orders) < WAITING:
                    self._orders.appendleft(order)
            dropped = max(len(self._orders) - WAITING, 0)
            for _ in range(dropped):
                self._orders.popleft()
            self._changed.notify()
        if dropped:
            self._metrics.prewarmed("dropped", dropped)

    def _run(self, predictor: SamPredictor) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._orders)
                order = self._orders.pop()
            job = Job(lambda order=order: self._prepare(predictor, order))  # type: ignore[misc]
            job.run()
            if error := job.future.exception():
                log.error("prewarm_failed", task=order.task.id, exc_info=error)

    def _prepare(self, predictor: SamPredictor, order: _Order) -> None:
        outcomes = predictor.prewarm(
            [order.task],
            label_config=order.label_config,
            deadline=Deadline.after(_TASK_SECONDS),
            into_memory=True,
        )
        for outcome in outcomes:
            self._metrics.prewarmed(outcome.kind if isinstance(outcome, TaskError) else outcome)
            if isinstance(outcome, TaskError):
                log.info("prewarm_lacks", task=order.task.id, reason=str(outcome))
        if order.opened:
            self._enqueue(self._ahead(order.task), order.label_config, opened=False)
