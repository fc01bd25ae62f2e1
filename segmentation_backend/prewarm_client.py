"""Announces opened tasks to the sam backend: Label Studio asks only the first backend."""

import threading
from collections import deque
from collections.abc import Sequence

import httpx
import msgspec
import structlog

from ml_backend.http_clients import http_client
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.predictor import references_alone
from ml_backend.labelstudio.schemas import Task
from ml_backend.serving.metrics import Metrics

log = structlog.get_logger(__name__)

MOST_BYTES = 16 << 20
"""Maximum bytes that wait to be sent; beyond, the oldest are dropped."""

_TASKS_EACH = 50
"""Maximum tasks in a body: with the longest references, no more than ``MOST_BYTES``."""

_TIMEOUT = httpx.Timeout(5, connect=1)
_REST_SECONDS = 5.0


class PrewarmClient:
    """Posts tasks in the background; callers neither wait nor see errors.

    Args:
        url: Address for the tasks, ``http://sam:9090/prewarm``.
        login: User name and password for basic auth; None without.
        metrics: Metrics that count the announced tasks.
    """

    def __init__(self, url: str, login: tuple[str, str] | None, metrics: Metrics) -> None:
        self._url = url
        self._client = http_client(auth=login, timeout=_TIMEOUT)
        self._tasks = metrics.counter(
            "segstudio_relayed_tasks_total",
            "Opened tasks announced to the sam backend: sent, failed, or dropped",
            "outcome",
        )
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._failing = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="relay", daemon=True).start()

    def send(self, tasks: Sequence[Task], label_config: LabelConfig) -> None:
        """Queue tasks to be announced; returns at once."""
        parts = [part for task in tasks if (part := references_alone(task, label_config)).data]
        for start in range(0, len(parts), _TASKS_EACH):
            some = parts[start : start + _TASKS_EACH]
            body = msgspec.json.encode({"tasks": some, "label_config": label_config.xml})
            self._put(len(some), body)

    def _put(self, count: int, body: bytes) -> None:
        with self._changed:
            self._waiting.append((count, body))
            self._bytes += len(body)
            while self._bytes > MOST_BYTES:
                self._tasks.labels("dropped").inc(self._next_body()[0])
            self._changed.notify()

    def _next_body(self) -> tuple[int, bytes]:
        count, body = self._waiting.popleft()
        self._bytes -= len(body)
        return count, body

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                count, body = self._next_body()
            self._tasks.labels("sent" if self._post(body) else "failed").inc(count)

    def _post(self, body: bytes) -> bool:
        try:
            headers = {"Content-Type": "application/json"}
            self._client.post(self._url, content=body, headers=headers).raise_for_status()
        except httpx.HTTPError as error:
            if not self._failing:
                log.warning("relay_fails", url=self._url, reason=repr(error))
            self._failing = True
            with self._changed:  # new tasks wait, as long as there is room
                self._changed.wait_for(lambda: False, _REST_SECONDS)
            return False
        if self._failing:
            log.info("relay_works_again", url=self._url)
        self._failing = False
        return True
