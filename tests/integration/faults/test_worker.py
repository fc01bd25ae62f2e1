"""A worker that dies, and a backend that is asked to end, while predictions are at work."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.faults.conftest import Scene
from tests.support.asking import ask, batch, counted, data_uri, jpeg, predicted, workers
from tests.support.http_server import Reply, Request, Server
from tests.support.processes import running_backend
from tests.support.waiting import alive, eventually

GOOD = data_uri(jpeg())


class Gate:
    """Holds each request for an image until the test lets them go."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()

    def __call__(self, _request: Request) -> Reply:
        assert self.may_answer.wait(60)
        return Reply(body=jpeg())


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.may_answer.set()


@pytest.fixture
def caller() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_a_killed_worker_is_replaced_and_the_next_request_answered(
    scene: Scene, gate: Gate, caller: ThreadPoolExecutor
) -> None:
    upload = scene.upload()
    scene.studio.replies[upload] = gate
    (worker,) = workers(scene.backend)
    lost = caller.submit(ask, scene.backend, batch(upload))
    eventually(lambda: upload in scene.studio.paths, seconds=60)
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(httpx.TransportError):
        lost.result(60)
    gate.may_answer.set()
    eventually(lambda: httpx.get(f"{scene.backend.url}/readyz", timeout=60).is_success, seconds=100)
    assert predicted(scene.backend, upload, GOOD) == [True, True]
    assert not alive(worker)
    assert f"Worker (pid:{worker}) was sent SIGKILL" in scene.backend.log.read_text()


def test_after_sigterm_all_requests_at_work_are_answered_and_no_new_ones(
    tmp_path: Path, gate: Gate, caller: ThreadPoolExecutor
) -> None:
    studio = Server()
    uploads = [f"/data/upload/1/{number}.jpg" for number in range(6)]
    studio.replies = dict.fromkeys(uploads, gate)
    with running_backend("segmentation_backend", tmp_path, LABEL_STUDIO_URL=studio.url) as backend:
        # One image each: a slow machine has to predict all of them in the 30 seconds it is given.
        asked: list[Future[list[Any]]] = [
            caller.submit(ask, backend, batch(upload)) for upload in uploads
        ]
        eventually(lambda: set(studio.paths) == set(uploads), seconds=60)
        backend.process.send_signal(signal.SIGTERM)
        eventually(lambda: not _answers(backend.url), seconds=60)
        gate.may_answer.set()
        assert all([] not in each.result(120) for each in asked)
        assert backend.process.wait(60) == 0
    studio.stop()


def test_a_long_batch_is_answered_in_part_within_30_seconds_of_sigterm(
    tmp_path: Path, gate: Gate, caller: ThreadPoolExecutor
) -> None:
    studio = Server()
    studio.replies["/data/upload/1/1.jpg"] = gate
    images = ["/data/upload/1/1.jpg", *[GOOD] * 2000]
    with running_backend(
        "segmentation_backend", tmp_path, LABEL_STUDIO_URL=studio.url, MAX_TASKS="3000"
    ) as backend:
        asked = caller.submit(ask, backend, batch(*images))
        eventually(lambda: bool(studio.paths), seconds=60)
        backend.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        gate.may_answer.set()
        results = asked.result(60)
        assert backend.process.wait(60) == 0
        assert time.monotonic() - told < 32
    studio.stop()
    assert len(results) == len(images)
    assert results[0]
    assert not results[-1]


def test_callers_that_hang_up_harm_nobody(
    scene: Scene, gate: Gate, caller: ThreadPoolExecutor
) -> None:
    upload = scene.upload()
    scene.studio.replies[upload] = gate
    before = counted(scene.backend, "predicted")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{scene.backend.url}/predict", json=batch(upload), timeout=1)
    gate.may_answer.set()
    assert predicted(scene.backend, GOOD) == [True]
    eventually(lambda: counted(scene.backend, "predicted") == before + 2, seconds=60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=2).is_success
    except httpx.TransportError:
        return False
