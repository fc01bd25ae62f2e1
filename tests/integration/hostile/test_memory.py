"""How much memory a worker takes at most, whatever it is sent: the kernel's own count."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.integration.hostile.pictures import largest_allowed
from tests.support.asking import CONFIG, data_uri, predicted, workers
from tests.support.processes import Backend, running_backend

MB = 1 << 20


def status(worker: int, field: str) -> int:
    """A field of /proc/<pid>/status, in bytes."""
    lines = Path(f"/proc/{worker}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(field))


@dataclass(frozen=True)
class Worker:
    """A worker that has answered one small request.

    Attributes:
        backend: Whose only worker it is.
        at_rest: Its resident size, in bytes.
    """

    backend: Backend
    at_rest: int

    @contextmanager
    def grows_less_than(self, limit: int) -> Iterator[None]:
        """Compare the peak resident size while the body runs with that at rest."""
        (worker,) = workers(self.backend)
        Path(f"/proc/{worker}/clear_refs").write_text("5")  # reset the peak
        yield
        assert (status(worker, "VmHWM") - self.at_rest) / MB < limit / MB


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A garment backend whose memory has not been stretched by the images of other tests."""
    folder = tmp_path_factory.mktemp("fresh")
    patient = {"IMAGE_SECONDS": "200", "PREDICT_SECONDS": "200"}
    with running_backend("segmentation_backend", folder, IMAGE_CACHE_MB="0", **patient) as backend:
        (worker,) = workers(backend)
        # Pages of the libraries count only once they are used: they were loaded before the fork.
        httpx.post(f"{backend.url}/predict", content=masks(50_000), timeout=60).raise_for_status()
        yield Worker(backend, status(worker, "VmRSS"))


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


BODIES: dict[str, tuple[Callable[[int], bytes], int, int]] = {  # the least hungry first:
    # a worker keeps some of what it once took
    "old masks": (masks, 200, 40),
    "an endless name": (lambda n: b'{"label_config":"' + b"<" * n + b'","tasks":[]}', 422, 200),
    "an image of numbers": (
        filled('{"label_config":"","tasks":[{"data":{"image":[', "1", "]}}]}"),
        422,
        350,
    ),
    "tasks of one digit": (filled('{"label_config":"","tasks":[', '{"id":1}', "]}"), 400, 600),
    "empty tasks": (filled('{"label_config":"","tasks":[', "{}", "]}"), 400, 1200),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_50_mb_costs_little_more_than_its_size(fresh: Worker, name: str) -> None:
    make, expected, megabytes = BODIES[name]
    body = make(50_000_000)
    with fresh.grows_less_than(len(body) + megabytes * MB):
        answer = httpx.post(f"{fresh.backend.url}/predict", content=body, timeout=120)
    assert answer.status_code == expected


def test_images_of_the_largest_size_cost_together_at_most_2500_mb(fresh: Worker) -> None:
    image = data_uri(largest_allowed(), "png")
    with fresh.grows_less_than(2500 * MB), ThreadPoolExecutor(4) as callers:
        asked = callers.map(lambda reference: predicted(fresh.backend, reference), [image] * 4)
        assert list(asked) == [[True]] * 4


def test_it_is_measured(fresh: Worker) -> None:
    with pytest.raises(AssertionError), fresh.grows_less_than(10 * MB):
        httpx.post(f"{fresh.backend.url}/predict", content=bytes(50_000_000), timeout=60)
