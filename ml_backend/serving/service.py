"""The life of a predictor in a process: loading, ready or failed, and how many may use it."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

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
    """What a request for predictions gets.

    Attributes:
        outcomes: One for each task, in order.
        model_version: Version that made them.
    """

    outcomes: list[Outcome]
    model_version: str


@dataclass(frozen=True)
class Accepted:
    """What a label config that can be served gets.

    Attributes:
        model_version: Version that will serve the project.
        remark: What its author should know; usually empty.
    """

    model_version: str
    remark: str


TOO_MANY = DeadlineExceededError("too many tasks in one call", "ask for fewer, or raise MAX_TASKS")

_STOP_SECONDS = 20.0
"""Time for the predictions at work when the process is told to end."""


class Service:
    """One predictor, loaded once in the background, shared by every request.

    Args:
        load: Makes the predictor, model warmed.
        settings: Limits on queue, tasks and time.
        metrics: Count loads that fail.
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
        """The loaded predictor.

        Raises:
            BusyError: It is still loading.
            SegstudioError: It could not be loaded, and why.
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
        """Answer each task of a request, all by the same version of the project's model.

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

    def fit(self, event: str, data: dict[str, Any]) -> None:
        """Pass an event of Label Studio on."""
        self.predictor.fit(event, data)

    def stop(self) -> None:
        """Begin no more tasks 20 s from now: the rest of a batch is asked for again elsewhere."""
        self._end = time.monotonic() + _STOP_SECONDS

    def _check_end(self) -> None:
        if time.monotonic() > self._end:
            raise DeadlineExceededError(
                "this process is about to end", "ask again; another will answer"
            )

    def admitted(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Those that one call may have answered; the others get ``TOO_MANY``."""
        return tasks[: self._settings.max_tasks]

    @contextmanager
    def place(self) -> Iterator[Deadline]:
        """A place among the predictions; gives the time by which its call is to be answered.

        Raises:
            BusyError: All are taken.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError("too many predictions are waiting", "ask again, or raise MAX_QUEUE")
        try:
            yield Deadline.after(self._settings.predict_seconds)
        finally:
            self._places.release()
