"""Precompute the embeddings of all images of a project with the sam backend."""

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
    """Outcome of one task.

    Attributes:
        task: Task ID.
        outcome: ``made``, ``kept`` (it existed already) or ``failed``.
        error: Kind of error; empty on success.
        reason: Human-readable reason of the failure; empty on success.
    """

    task: int
    outcome: str
    error: str = ""
    reason: str = ""


def prewarm(label_studio: LabelStudio, project: Project, sam: "Sam") -> Iterator[Prepared]:
    """Prepare all tasks in order of their ID, and yield each outcome.

    Raises:
        LabelStudioError: The tasks cannot be listed.
        BackendError: The sam backend does not respond.
    """
    tasks = label_studio.tasks(project.id, "id,data", _PAGE)
    while some := list(islice(tasks, _AT_ONCE)):
        whole = [{**task, "project": project.id, "task_data_login": project.login} for task in some]
        yield from _prewarm_batch(sam, whole, project.label_config)


def _prewarm_batch(
    sam: "Sam", tasks: Sequence[Mapping[str, Any]], label_config: str
) -> Iterator[Prepared]:
    """Yield outcomes of a batch, repeating tasks that exceeded the backend's time for a call."""
    waiting = list(tasks)
    while waiting:
        found = sam.prewarm(waiting, label_config)
        late = {each.task for each in found if each.error == _LATE}
        if len(late) == len(waiting):  # no progress: a repetition would not help
            late = set()
        yield from (each for each in found if each.task not in late)
        waiting = [task for task in waiting if task["id"] in late]


def _is_busy(answer: httpx.Response) -> bool:
    """Return whether a backend says when to retry."""
    pause = answer.headers.get("Retry-After", "")
    return answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and pause.isdigit()


def _retry_after(state: RetryCallState) -> float:
    pause: str = last_result(state).headers["Retry-After"]
    return min(int(pause), _LONGEST_PAUSE)


class Sam:
    """Client of a sam backend; every method may raise BackendError.

    Args:
        url: Address of the backend as reached from here.
        login: Login for basic auth.
    """

    def __init__(self, url: str, login: BasicAuth) -> None:
        self._url = url.rstrip("/")
        auth = (login.user, login.password) if login.user else None
        self._http = http_client(auth=auth, timeout=_TIMEOUT)

    def prewarm(self, tasks: Sequence[Mapping[str, Any]], label_config: str) -> list[Prepared]:
        """Prepare tasks and return the outcome of each when all are done."""
        body = {"tasks": list(tasks), "label_config": label_config, "wait": True}
        try:
            answer = self._post(body)
            results = answer.json().get("results", []) if answer.is_success else []
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise BackendError(
                f"{self._url} does not respond like a sam backend ({type(error).__name__})",
                "start it: make up or make backends; or name it with --sam",
            ) from None
        if answer.is_error:
            raise BackendError(f"{self._url}: {answer.reason_phrase or answer.status_code}")
        if len(results) != len(tasks):
            raise BackendError(
                f"{self._url} answers {len(results)} of {len(tasks)} tasks",
                "check that it is a sam backend of this version and MAX_TASKS is 10 or more",
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
