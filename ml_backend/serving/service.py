"""Lifecycle of a predictor in a process (loading, ready, failed), and its queue."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ml_backend.deadline import Deadline
from ml_backend.errors import (
    BusyError,
    DeadlineExceededError,
    PromptError,
    TaskError,
)
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.labelstudio.prompts import Context, parse_context
from ml_backend.labelstudio.schemas import Prediction, PredictRequest, SetupRequest, Task
from ml_backend.serving.metrics import Metrics
from ml_backend.serving.model_loader import ModelLoader
from ml_backend.serving.settings import BackendSettings

Outcome = Prediction | TaskError | None


@dataclass(frozen=True)
class Answer:
    """Result of a prediction request.

    Attributes:
        outcomes: Outcome of each task, in order.
        model_version: Version of the model that made them.
    """

    outcomes: list[Outcome]
    model_version: str


@dataclass(frozen=True)
class Accepted:
    """Result of a setup request whose label config is accepted.

    Attributes:
        model_version: Version of the model that will serve the project.
        remark: Advice for the author of the label config; usually empty.
    """

    model_version: str
    remark: str


TOO_MANY = DeadlineExceededError("too many tasks in one call", "send fewer, or raise MAX_TASKS")

_STOP_SECONDS = 20.0
"""Seconds for running predictions after the process is asked to stop."""


class Service:
    """One predictor, loaded in the background and shared by all requests.

    Args:
        load: Function that loads and warms the model and returns its predictor.
        settings: Limits on queue, tasks and time.
        metrics: Metrics that count failed loads.
    """

    def __init__(
        self, load: Callable[[], Predictor], settings: BackendSettings, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._places = threading.BoundedSemaphore(settings.max_queue)
        self._end = math.inf
        self._loading = ModelLoader(load, metrics)

    @property
    def predictor(self) -> Predictor:
        """Return the loaded predictor.

        Raises:
            BusyError: The model is still loading.
            SegstudioError: The model could not be loaded.
        """
        return self._loading.predictor()

    def setup(self, request: SetupRequest) -> Accepted:
        """Check a label config against the model that serves the project.

        Raises:
            LabelConfigError: The model cannot serve it.
        """
        predictor = self.predictor.for_project(request.project)
        remark = predictor.check(parse_label_config(request.label_config))
        return Accepted(predictor.model_version, remark)

    def predict(self, request: PredictRequest) -> Answer:
        """Predict each task of a request, all with the same version of the project's model.

        Raises:
            BusyError: The model is loading, or too many predictions wait.
            LabelConfigError: The model cannot serve the label config.
        """
        predictor = self.predictor.for_project(request.project)
        label_config = parse_label_config(request.label_config)
        predictor.check(label_config)
        with self.place() as deadline:
            try:
                context = None if request.context is None else parse_context(request.context)
            except PromptError as error:
                return Answer([error] * len(request.tasks), predictor.model_version)
            outcomes = self._outcomes(
                predictor, request.tasks_with_login, context, label_config, deadline
            )
            return Answer(outcomes, predictor.model_version)

    def _outcomes(
        self,
        predictor: Predictor,
        tasks: Sequence[Task],
        context: Context | None,
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> list[Outcome]:
        admitted = self.admitted(tasks)
        answers = predictor.predict(admitted, context, label_config=label_config, deadline=deadline)
        outcomes: list[Outcome] = []
        unanswered = TOO_MANY
        try:
            for _ in admitted:
                deadline.remaining()
                self._check_end()
                outcomes.append(next(answers))
        except DeadlineExceededError as error:
            unanswered = error
        return outcomes + [unanswered] * (len(tasks) - len(outcomes))

    def stop(self) -> None:
        """Start no more tasks 20 s from now; the caller requests the remaining ones elsewhere."""
        self._end = time.monotonic() + _STOP_SECONDS

    def _check_end(self) -> None:
        if time.monotonic() > self._end:
            raise DeadlineExceededError(
                "this process is stopping", "try again; another will respond"
            )

    def admitted(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Return the tasks that one call may have predicted; the others get ``TOO_MANY``."""
        return tasks[: self._settings.max_tasks]

    @contextmanager
    def place(self) -> Iterator[Deadline]:
        """Take a place in the queue; yields the deadline of the call.

        Raises:
            BusyError: The queue is full.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError("too many predictions are waiting", "try again, or raise MAX_QUEUE")
        try:
            yield Deadline.after(self._settings.predict_seconds)
        finally:
            self._places.release()
