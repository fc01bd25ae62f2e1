"""Synchronisations that a Label Studio with a queue of jobs gets done, or not."""

from collections.abc import Iterator
from typing import Any

import pytest

from ml_backend.errors import LabelStudioError
from segstudio.labelstudio import storages
from segstudio.labelstudio.client import LabelStudio
from segstudio.labelstudio.storages import Storage, synchronise
from tests.support.json_server import Asked, JsonServer

TARGET = {
    "id": 7,
    "bucket": "labels",
    "prefix": "",
    "last_sync_count": 0,
    "traceback": None,
}


class Queue(JsonServer):
    """What a job of Label Studio 1.23.2 goes through, one status each time it is asked.

    Attributes:
        states: Status and traceback, the last for ever; none: the storage is gone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.states: list[tuple[str, str | None]] = []

    def reply(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "POST":
            return 200, {**TARGET, "status": "queued"}
        # One storage alone stays as it was: only the listing looks for jobs that died.
        alone = asked.path.endswith("/7")
        return 200, {**TARGET, "status": "in_progress"} if alone else self.next()

    def next(self) -> list[dict[str, Any]]:
        if not self.states:
            return []
        status, traceback = self.states[0]
        del self.states[: len(self.states) > 1]
        return [{**TARGET, "status": status, "traceback": traceback, "last_sync_count": 5}]


@pytest.fixture
def queue() -> Iterator[Queue]:
    queue = Queue()
    yield queue
    queue.stop()


@pytest.fixture
def label_studio(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabelStudio]:
    monkeypatch.setattr(storages, "_ASK_AGAIN_SECONDS", 0.01)
    with LabelStudio(queue.url, "0" * 40) as client:
        yield client


def sync(label_studio: LabelStudio) -> Storage:
    target = Storage(id=7, bucket="labels", prefix="", status="initialized", synced=0, problem="")
    return synchronise(label_studio, 3, target)


def test_a_queued_job_is_waited_for(queue: Queue, label_studio: LabelStudio) -> None:
    queue.states = [("queued", None), ("in_progress", None), ("completed", None)]
    done = sync(label_studio)
    assert (done.synced, done.problem) == (5, "")


@pytest.mark.timeout(60)
def test_a_job_that_died_is_a_failure_with_label_studios_reason(
    queue: Queue, label_studio: LabelStudio
) -> None:
    queue.states = [("in_progress", None), ("failed", "It appears\nworkers reloaded unexpectedly.")]
    assert sync(label_studio).problem == "workers reloaded unexpectedly."


@pytest.mark.timeout(60)
def test_a_job_that_nobody_takes_is_not_waited_for_for_ever(
    queue: Queue, label_studio: LabelStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.states = [("queued", None)]
    monkeypatch.setattr(storages, "_JOB_SECONDS", 0.05)
    with pytest.raises(LabelStudioError, match="gs://labels 'queued'") as caught:
        sync(label_studio)
    assert "workers" in caught.value.hint


def test_a_target_that_is_disconnected_meanwhile_is_told(
    queue: Queue, label_studio: LabelStudio
) -> None:
    with pytest.raises(LabelStudioError, match="taken from project 3"):
        sync(label_studio)
