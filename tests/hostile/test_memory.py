"""How much memory a worker takes at most, whatever it is sent: the kernel's own count."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.asking import CONFIG, ask, batch, data_uri, workers
from tests.hostile.conftest import Scene
from tests.hostile.pictures import largest_allowed
from tests.processes import Backend

MB = 1 << 20


def status(worker: int, field: str) -> int:
    """A field of /proc/<pid>/status, in bytes."""
    lines = Path(f"/proc/{worker}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


@contextmanager
def grows_less_than(backend: Backend, limit: int) -> Iterator[None]:
    """Compare the highest resident size meanwhile with the one before."""
    (worker,) = workers(backend)
    Path(f"/proc/{worker}/clear_refs").write_text("5")  # begin to measure the peak anew
    before = status(worker, "VmRSS")
    yield
    assert (status(worker, "VmHWM") - before) / MB < limit / MB


def masks(size: int) -> bytes:
    """A task with so many bytes of old masks, as Label Studio sends them along."""
    rle = json.dumps({"value": {"format": "rle", "rle": list(range(256)) * 100}})
    results = ",".join([rle] * (size // len(rle)))
    annotations = f'[{{"result":[{results}]}}]'
    task = f'{{"id":1,"data":{{}},"annotations":{annotations},"predictions":[]}}'
    return f'{{"tasks":[{task}],"label_config":{json.dumps(CONFIG)}}}'.encode()


def filled(before: str, item: str, after: str) -> Callable[[int], bytes]:
    """A body that repeats one item until it has so many bytes."""

    def make(size: int) -> bytes:
        return (before + ",".join([item] * (size // (len(item) + 1))) + after).encode()

    return make


BODIES: dict[str, tuple[Callable[[int], bytes], int, int]] = {
    "old masks": (masks, 200, 60),
    "empty tasks": (filled('{"label_config":"","tasks":[', "{}", "]}"), 400, 1200),
    "tasks of one digit": (filled('{"label_config":"","tasks":[', '{"id":1}', "]}"), 400, 500),
    "an image of numbers": (
        filled('{"label_config":"","tasks":[{"data":{"image":[', "1", "]}}]}"),
        422,
        350,
    ),
    "an endless name": (lambda n: b'{"label_config":"' + b"<" * n + b'","tasks":[]}', 422, 200),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_50_mb_costs_little_more_than_its_size(scene: Scene, name: str) -> None:
    make, expected, megabytes = BODIES[name]
    body = make(50_000_000)
    with grows_less_than(scene.segmentation, len(body) + megabytes * MB):
        answer = httpx.post(f"{scene.segmentation.url}/predict", content=body, timeout=120)
    assert answer.status_code == expected


def test_images_of_the_largest_size_cost_at_most_1_gb_each(scene: Scene) -> None:
    image = data_uri(largest_allowed(), "png")
    with (
        grows_less_than(scene.segmentation, 6 * 1000 * MB),
        ThreadPoolExecutor(6) as callers,
    ):
        bodies = [batch(image)] * 6
        assert all(callers.map(lambda body: ask(scene.segmentation, body), bodies))


def test_it_is_measured(scene: Scene) -> None:
    (worker,) = workers(scene.segmentation)
    os.kill(worker, signal.SIG_DFL)  # it is there, and ours to ask
    with pytest.raises(AssertionError), grows_less_than(scene.segmentation, 10 * MB):
        httpx.post(f"{scene.segmentation.url}/predict", content=bytes(50_000_000), timeout=60)
