"""Predict which tasks a labeler will open next, from Label Studio's list of tasks.

The label stream takes a project's tasks by ID. A shuffled stream (``Uniform sampling``) cannot be
predicted; then this prepares images that are due at some time.
"""

import time
from collections.abc import Sequence

import httpx
import structlog

from ml_backend.errors import LabelStudioError
from ml_backend.http_clients import http_client
from ml_backend.labelstudio.auth import TokenSource
from ml_backend.labelstudio.queries import TaskFilter, task_query
from ml_backend.labelstudio.schemas import Task, TaskWithLogin
from sam_backend.prewarming import Ahead
from sam_backend.settings import SamSettings

log = structlog.get_logger(__name__)

REST_SECONDS = 5.0
"""Minimum seconds between two requests to Label Studio about one project."""

TROUBLE_SECONDS = 60.0
"""Minimum seconds between requests after a failed one."""

_TIMEOUT = httpx.Timeout(10, connect=2)
_MOST_PROJECTS = 1000


def upcoming_tasks(settings: SamSettings) -> Ahead:
    """Return a function that asks Label Studio, if it is configured and tasks are wanted."""
    url, key = settings.label_studio_url, settings.label_studio_api_key
    if url is None or key is None or not settings.prewarm_ahead:
        return _unknown
    client = http_client(base_url=url, auth=TokenSource(key.get_secret_value()), timeout=_TIMEOUT)
    return UpcomingTasks(client, settings.prewarm_ahead)


def _unknown(_task: Task) -> Sequence[Task]:
    return ()


class UpcomingTasks:
    """Next unannotated tasks of a project, ordered by ID; for use by one thread.

    Args:
        client: HTTP client for the Label Studio instance.
        count: Number of tasks.
    """

    def __init__(self, client: httpx.Client, count: int) -> None:
        self._client = client
        self._count = count
        self._ask_again: dict[int, float] = {}

    def __call__(self, task: Task) -> Sequence[Task]:
        """Return the tasks after this one; none if its project is unknown or was just requested."""
        if not isinstance(task.project, int) or not isinstance(task.id, int):
            return ()
        if not self._may_ask(task.project):
            return ()
        try:
            return self._list(task.project, task.id, task.credentials)
        except (httpx.HTTPError, LabelStudioError, ValueError, LookupError, TypeError) as error:
            log.warning("tasks_ahead_unknown", project=task.project, reason=repr(error))
            self._ask_again[task.project] = time.monotonic() + TROUBLE_SECONDS
            return ()

    def _may_ask(self, project: int) -> bool:
        now = time.monotonic()
        if now < self._ask_again.get(project, now):
            return False
        if len(self._ask_again) >= _MOST_PROJECTS:
            self._ask_again.clear()
        self._ask_again[project] = now + REST_SECONDS
        return True

    def _list(self, project: int, after: int, login: tuple[str, str] | None) -> Sequence[Task]:
        filters = [
            TaskFilter("id", "greater", after),
            TaskFilter("total_annotations", "equal", 0),
        ]
        params = task_query(project, filters, "id,data", self._count)
        answer = self._client.get("/api/tasks", params=params).raise_for_status().json()
        found = answer["tasks"][: self._count]
        return [
            TaskWithLogin(id=int(each["id"]), project=project, data=dict(each["data"]), login=login)
            for each in found
        ]
