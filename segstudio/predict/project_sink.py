"""Predict into a project of Label Studio: tasks without a prediction, and writing predictions."""

import hashlib
import json
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ParamSpec, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.control_tasks import is_control
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.queries import TaskFilter
from ml_backend.labelstudio.task_images import needed_data, references
from segstudio.predict.items import Item, Outcome
from segstudio.retries import poll

P = ParamSpec("P")
T = TypeVar("T")

_PAGE = 500
_VERSIONS = "predictions_model_versions"

_WHOLE = 250
"""Characters of a version that Label Studio keeps in any case: it truncates at 500, and escaped
quotes may take half of that."""


_LOOK_SECONDS = 2
_UNANSWERED = (None, 502, 504)
"""Statuses of a call, or of a proxy, after which Label Studio may still be processing it."""


def _may_pass(error: BaseException) -> bool:
    """Return whether a repeated request may succeed."""
    return isinstance(error, LabelStudioError) and (
        error.status is None or error.status == 429 or error.status >= 500
    )


class ProjectSink:
    """Reader of tasks and writer of predictions, without duplicates after retries.

    Label Studio has no idempotency keys, but creates a call's predictions in one transaction. So if
    a call gets no response, this waits for its predictions, and repeats it only if they have not
    arrived within ``settle_seconds``; a Label Studio that takes still longer will have duplicates.

    Args:
        label_studio: Client for the Label Studio instance.
        project: Project ID.
        label_config: Label config of the project.
        model_version: Model version of the predictions.
        retry_seconds: Seconds to retry a Label Studio that does not respond.
    """

    size = 50
    settle_seconds = 60.0

    def __init__(
        self,
        label_studio: LabelStudio,
        project: int,
        label_config: LabelConfig,
        model_version: str,
        retry_seconds: float,
    ) -> None:
        self._label_studio = label_studio
        self._project = project
        self._config = label_config
        self._version = model_version
        self._retry_seconds = retry_seconds

    def done(self) -> Iterator[str]:
        """Yield nothing: ``items`` already skips tasks with a prediction of this version."""
        return iter(())

    def items(self) -> Iterator[Item]:
        """Yield the tasks without a prediction of this version, with one page in memory.

        Control tasks are skipped.
        """
        last = 0
        while page := self._find_tasks(TaskFilter("id", "greater", last), "id,data,meta"):
            for task in page:
                if not (is_control(task["meta"]) or self._has_prediction(task)):
                    yield self._item(task["id"], task["data"])
            last = int(page[-1]["id"])

    def _item(self, task: int, data: dict[str, Any]) -> Item:
        shown = self._config.images.values()
        found = [each for image in shown for each in references(data, image)]
        # A failure is skipped the next time only if all of this is unchanged.
        digest = hashlib.sha256("\n".join(found).encode()).hexdigest()
        key = json.dumps([self._label_studio.url, task, digest, self._version])
        return Item(key, found[0], needed_data(data, self._config), task=task)

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write predictions of existing tasks without a prediction of this version.

        Raises:
            LabelStudioError: Label Studio refuses them, or does not respond for too long.
        """
        by_task = {o.item.task: o.prediction for o in outcomes if o.item.task is not None}
        self._with_retries(self._write_once, by_task)

    def _write_once(self, by_task: dict[int, Any]) -> None:
        # Checked each time: predictions may exist although the response was lost.
        missing = self._missing(by_task)
        if not missing:
            return
        body = [{"task": id_, **by_task[id_]} for id_ in missing]
        try:
            self._label_studio.import_predictions(self._project, body)
        except LabelStudioError as error:
            if error.status in _UNANSWERED and self._arrives_late(missing):
                return
            raise

    def _arrives_late(self, tasks: Iterable[int]) -> bool:
        """Wait for predictions of these tasks, which Label Studio may still be creating."""
        missing = partial(self._missing, tasks)
        return not poll(missing, operator.not_, _LOOK_SECONDS, self.settle_seconds)

    def _missing(self, tasks: Iterable[int]) -> list[int]:
        """Return the existing tasks without a prediction of this version."""
        there = self._find_tasks(TaskFilter("id", "in_list", sorted(tasks)), "id")
        return [int(task["id"]) for task in there if not self._has_prediction(task)]

    def _with_retries(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_random_exponential(multiplier=1, max=20),
            stop=stop_after_delay(self._retry_seconds),
            reraise=True,
        )
        return retrying(work, *args, **options)

    def _has_prediction(self, task: dict[str, Any]) -> bool:
        listed = str(task.get(_VERSIONS) or "")
        if len(listed) < _WHOLE:
            # On SQLite "a,b", on PostgreSQL "a, b".
            return self._version in map(str.strip, listed.split(","))
        call, params = self._label_studio.call, {"task": task["id"]}
        found = self._with_retries(call, "GET", "/api/predictions", params=params)
        return any(each["model_version"] == self._version for each in found)

    def _find_tasks(self, which: TaskFilter, include: str) -> list[dict[str, Any]]:
        fields = f"{include},{_VERSIONS}"
        find = self._label_studio.find_tasks
        return self._with_retries(find, self._project, which, fields, _PAGE)
