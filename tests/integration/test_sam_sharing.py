"""Real processes of the sam backend, a real Redis, and a server that counts what is fetched."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from synthetic.people import draw_figure
from tests.support.file_server import FileServer
from tests.support.processes import Backend, running_backend
from tests.support.redis_server import RedisServer, running_redis
from tests.support.sam_calls import body, click, mask_of
from tests.support.scenes import LABEL_CONFIG
from tests.support.waiting import eventually


def upload(number: int) -> str:
    """The path of an upload in Label Studio."""
    return f"/data/upload/1/{number:08x}-a.png"


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    """Stands for Label Studio with its uploads."""
    with FileServer() as server:
        for number in range(4):
            picture = draw_figure(number, 480, 320).image
            png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
            server.files[upload(number)] = png.tobytes()
        yield server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@contextmanager
def sam(folder: Path, server: FileServer, **variables: str) -> Iterator[Backend]:
    usual = {"SAM_MODEL": "embedded", "LABEL_STUDIO_URL": server.url, "THREADS": "1"}
    folder.mkdir(exist_ok=True)
    with running_backend("sam_backend", folder, **(usual | variables)) as backend:
        yield backend


def ask(backend: Backend, number: int, x: float = 50) -> Any:
    """The mask that a click on an upload gets."""
    answer = httpx.post(
        f"{backend.url}/predict", json=body(upload(number), click(x, 50)), timeout=100
    )
    (region,) = answer.raise_for_status().json()["results"][0]["result"]
    return mask_of(region)


def count(backend: Backend, counter: str, label: str) -> float:
    """Of a counter that carries a label of this value."""
    text = httpx.get(f"{backend.url}/metrics", timeout=30).text
    found = re.search(rf'^{counter}\{{.*"{label}".*\}} (.*)$', text, re.MULTILINE)
    return float(found[1]) if found else 0


def source(backend: Backend, name: str) -> float:
    return count(backend, "segstudio_embeddings_total", name)


def fetched(server: FileServer, number: int) -> int:
    return sum(path == upload(number) for path, _ in server.asked)


def test_what_one_replica_prepared_another_answers_without_fetching_the_image(
    server: FileServer, redis: RedisServer, tmp_path: Path
) -> None:
    # What the URL says goes before our own, short time-out: this machine may be busy.
    shared = {"REDIS_URL": f"{redis.url}?socket_timeout=30"}
    with ExitStack() as stack:
        one = stack.enter_context(sam(tmp_path / "one", server, **shared))
        task = {"id": 1, "data": {"image": upload(0)}}
        wanted = {"tasks": [task], "label_config": LABEL_CONFIG}
        assert httpx.post(f"{one.url}/prewarm", json=wanted, timeout=30).status_code == 202
        eventually(lambda: count(one, "segstudio_prewarm_tasks_total", "made") == 1, 60)
        other = stack.enter_context(sam(tmp_path / "other", server, **shared))
        assert np.array_equal(ask(other, 0), ask(one, 0))
        assert (source(one, "memory"), source(other, "redis")) == (1, 1)
        assert fetched(server, 0) == 1
        _survive_the_loss_of_redis(one, other, server, redis)


def _survive_the_loss_of_redis(
    one: Backend, other: Backend, server: FileServer, redis: RedisServer
) -> None:
    redis.kill()
    ask(one, 1)
    ask(other, 1)
    assert fetched(server, 1) == 2
    assert count(one, "segstudio_embedding_store_trouble_total", "gone") >= 1
    redis.start()
    unknown = body("/data/upload/1/missing.png", click(50, 50))

    def is_back() -> bool:
        httpx.post(f"{one.url}/predict", json=unknown, timeout=60)
        return "redis_back" in one.log.read_text()

    eventually(is_back, 60)
    ask(one, 2)
    eventually(lambda: redis.client.dbsize() == 1, 30)


def test_after_a_restart_the_first_click_needs_neither_image_nor_model(
    server: FileServer, tmp_path: Path
) -> None:
    with sam(tmp_path / "sam", server) as before:
        mask, next_to = ask(before, 1), ask(before, 1, x=51)
    fetches = fetched(server, 1)
    with sam(tmp_path / "sam", server, EMBEDDING_CACHE_MB="0") as after:
        assert np.array_equal(ask(after, 1), mask)
        assert (source(after, "disk"), source(after, "model")) == (1, 0)
        assert fetched(server, 1) == fetches
        for file in (tmp_path / "sam" / "images" / "embeddings").iterdir():
            file.write_bytes(b"damaged" * 1000)
        assert np.array_equal(ask(after, 1, x=51), next_to)
        assert count(after, "segstudio_embedding_store_trouble_total", "damaged") == 1
