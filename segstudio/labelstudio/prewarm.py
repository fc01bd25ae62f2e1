"""All images of a project prepared for clicks, by the sam backend, before labelers come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import httpx
from tenacity import RetryCallState, retry, retry_if_result, stop_after_attempt

from ml_backend.http_clients import http_client
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.responses import Project
from segstudio.labelstudio.ml_backends import BackendError, BasicAuth
from segstudio.retries import last_result

_PAGE = 200
_AT_ONCE = 10
_TIMEOUT = httpx.Timeout(300, connect=5)
_LATE = "budget"
_TRIES = 30
_LONGEST_PAUSE = 10


@dataclass(frozen=True)
class Prepared:
    """What became of one task.

    Attributes:
        task: Its number.
        outcome: ``made``, ``kept`` (it was there already) or ``failed``.
        error: The kind of error; empty without one.
        reason: For people, likewise.
    """

    task: int
    outcome: str
    error: str = ""
    reason: str = ""


def prewarm(label_studio: LabelStudio, project: Project, sam: "Sam") -> Iterator[Prepared]:
    """Prepare all tasks, by their number, and tell of each.

    Raises:
        LabelStudioError: It does not list the tasks.
        BackendError: The sam backend does not answer.
    """
    tasks = label_studio.tasks(project.id, "id,data", _PAGE)
    while some := list(islice(tasks, _AT_ONCE)):
        whole = [{**task, "project": project.id, "task_data_login": project.login} for task in some]
        yield from _prewarm_batch(sam, whole, project.label_config)


def _prewarm_batch(
    sam: "Sam", tasks: Sequence[Mapping[str, Any]], label_config: str
) -> Iterator[Prepared]:
    """Some tasks, asked for again while the backend's time for a call was what they lacked."""
    waiting = list(tasks)
    while waiting:
        found = sam.prewarm(waiting, label_config)
        late = {each.task for each in found if each.error == _LATE}
        if len(late) == len(waiting):  # nothing gets done: that will not be otherwise next time
            late = set()
        yield from (each for each in found if each.task not in late)
        waiting = [task for task in waiting if task["id"] in late]


def _is_busy(answer: httpx.Response) -> bool:
    """Whether a backend says when to ask again."""
    pause = answer.headers.get("Retry-After", "")
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and pause.isdigit()


def _retry_after(state: RetryCallState) -> float:
    pause: str = last_result(state).headers["Retry-After"]
    return min(int(pause), _LONGEST_PAUSE)


class Sam:
    """A sam backend that is asked to prepare tasks; every method may raise BackendError.

    Args:
        url: As it is reached from here.
        login: Where it asks for one.
    """

    def __init__(self, url: str, login: BasicAuth) -> None:
        self._url = url.rstrip("/")
        auth = (login.user, login.password) if login.user else None
        self._http = http_client(auth=auth, timeout=_TIMEOUT)

    def prewarm(self, tasks: Sequence[Mapping[str, Any]], label_config: str) -> list[Prepared]:
        """Prepare some tasks, and wait for it; an outcome for each."""
        body = {"tasks": list(tasks), "label_config": label_config, "wait": True}
        try:
            answer = self._post(body)
            results = answer.json().get("results", []) if answer.is_success else []
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise BackendError(
                f"{self._url} does not answer as a sam backend does ({type(error).__name__})",
                "start it: make up or make backends; or name it with --sam",
            ) from None
        if answer.is_error:
            raise BackendError(f"{self._url}: {answer.reason_phrase or answer.status_code}")
        if len(results) != len(tasks):
            raise BackendError(
                f"{self._url} answers {len(results)} of {len(tasks)} tasks",
                "is it a sam backend of this version? is MAX_TASKS below 10?",
            )
        return [
            Prepared(int(task["id"]), **result) for task, result in zip(tasks, results, strict=True)
        ]

    @retry(
        retry=retry_if_result(_is_busy),
        wait=_retry_after,
        stop=stop_after_attempt(_TRIES),
        retry_error_callback=last_result,
    )
    def _post(self, body: Mapping[str, Any]) -> httpx.Response:
        return self._http.post(f"{self._url}/prewarm", json=body)
