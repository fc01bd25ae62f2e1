"""A project of Label Studio: its tasks that lack a prediction, and where predictions go."""

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
from ml_backend.labelstudio.queries import TaskFilter
from ml_backend.labelstudio.task_paths import look_up
from segstudio.predict.items import Item, Outcome
from segstudio.retries import poll

P = ParamSpec("P")
T = TypeVar("T")

_PAGE = 500
_VERSIONS = "predictions_model_versions"

_WHOLE = 250
"""Of versions in this many characters Label Studio cut none off: it cuts at 500, of which it then
takes quotes away, half at most."""


_LOOK_SECONDS = 2
_UNANSWERED = (None, 502, 504)
"""Of a call, or of a proxy before Label Studio, which may still be at work on what it was asked."""


def _may_pass(error: BaseException) -> bool:
    """Whether Label Studio may well answer if it is asked again."""
    return isinstance(error, LabelStudioError) and (
        error.status is None or error.status == 429 or error.status >= 500
    )


class ProjectSink:
    """Reads tasks and writes predictions; whatever is written twice is there once.

    Label Studio takes no number by which it would know a call again, but makes a call's predictions
    in one transaction. So where a call got no answer, its predictions are waited for, and it is
    repeated only where they have not come within ``settle_seconds``; a Label Studio that takes
    still longer for them has them twice.

    Args:
        label_studio: That the project is in.
        project: Its id.
        image_key: Of ``task.data``, that the label config shows the image of.
        model_version: Of the predictions.
        retry_seconds: How long a Label Studio that does not answer is asked again.
    """

    size = 50
    settle_seconds = 60.0

    def __init__(
        self,
        label_studio: LabelStudio,
        project: int,
        image_key: str,
        model_version: str,
        retry_seconds: float,
    ) -> None:
        self._label_studio = label_studio
        self._project = project
        self._image_key = image_key
        self._version = model_version
        self._retry_seconds = retry_seconds

    def done(self) -> Iterator[str]:
        """Nothing: ``items`` leaves out the tasks that have a prediction of this version."""
        return iter(())

    def items(self) -> Iterator[Item]:
        """Yield the tasks without a prediction of this version, a page at a time in memory.

        Control tasks are left out.
        """
        last = 0
        while page := self._find_tasks(TaskFilter("id", "greater", last), "id,data,meta"):
            for task in page:
                if not (is_control(task["meta"]) or self._has_prediction(task)):
                    reference = str(look_up(task["data"], self._image_key) or "")
                    yield Item(self._key(task["id"], reference), reference, task=task["id"])
            last = int(page[-1]["id"])

    def _key(self, task: int, reference: str) -> str:
        # What failed is left out the next time only where all of this is as it was.
        digest = hashlib.sha256(reference.encode()).hexdigest()
        return json.dumps([self._label_studio.url, task, digest, self._version])

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write predictions of tasks that are still there and have none of this version.

        Raises:
            LabelStudioError: It refuses them, or does not answer for too long.
        """
        by_task = {o.item.task: o.prediction for o in outcomes if o.item.task is not None}
        self._with_retries(self._write_once, by_task)

    def _write_once(self, by_task: dict[int, Any]) -> None:
        # Asked each time: an answer that got lost may have left the predictions behind.
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
        """Wait for predictions of these tasks, of which Label Studio may be making all or none."""
        missing = partial(self._missing, tasks)
        return not poll(missing, operator.not_, _LOOK_SECONDS, self.settle_seconds)

    def _missing(self, tasks: Iterable[int]) -> list[int]:
        """Which of the tasks are there, without a prediction of this version."""
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
