"""Synchronisations that a Label Studio with a queue of jobs gets done, or not."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ml_backend.errors import LabelStudioError
from segstudio import storages
from segstudio.label_studio import LabelStudio
from segstudio.storages import Storage, synchronise

TARGET = {
    "id": 7,
    "bucket": "labels",
    "prefix": "",
    "last_sync_count": 0,
    "traceback": None,
}


class Queue:
    """What a job of Label Studio 1.23.2 goes through, one status each time it is asked.

    Attributes:
        states: Status and traceback, the last for ever; none: the storage is gone.
    """

    def __init__(self, *states: tuple[str, str | None]) -> None:
        self.states = list(states)

    def next(self) -> list[dict[str, Any]]:
        if not self.states:
            return []
        status, traceback = self.states[0]
        del self.states[: len(self.states) > 1]
        return [{**TARGET, "status": status, "traceback": traceback, "last_sync_count": 5}]


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def label_studio(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Iterator[LabelStudio]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.reply({**TARGET, "status": "queued"})

        def do_GET(self) -> None:
            # One storage alone stays as it was: only the listing looks for jobs that died.
            alone = self.path.partition("?")[0].endswith("/7")
            self.reply({**TARGET, "status": "in_progress"} if alone else queue.next())

        def reply(self, answer: Any) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    monkeypatch.setattr(storages, "_ASK_AGAIN_SECONDS", 0.01)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with LabelStudio(f"http://127.0.0.1:{server.server_port}", "0" * 40) as client:
        yield client
    server.shutdown()
    server.server_close()


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
