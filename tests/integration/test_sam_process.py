"""The sam backend as a real process: gunicorn, two workers, the shipped network."""

import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from synthetic.people import draw_figure
from tests.support.processes import Backend, running_backend
from tests.support.sam_calls import Json, body, box, click, mask_of, overlap
from tests.support.scenes import LABEL_CONFIG, data_uri

LABELERS, OBJECTS_EACH, IMAGES = 8, 6, 12


@dataclass(frozen=True, eq=False)
class Garment:
    """The largest garment of one drawn figure, and how a labeler asks for it."""

    image: str
    truth: npt.NDArray[np.bool_]

    def prompts(self) -> list[list[Json]]:
        """A box, then clicks: in the garment, at another place in it, and outside."""
        height, width = self.truth.shape
        rows, columns = np.nonzero(self.truth)
        x, y = 100 * columns / width, 100 * rows / height
        around = box(x.min(), y.min(), np.ptp(x), np.ptp(y))
        middle, quarter = len(rows) // 2, len(rows) // 4
        clicks = [
            click(x[middle], y[middle]),
            click(x[quarter], y[quarter]),
            click(1, 1, positive=False),
        ]
        return [[around], clicks[:1], clicks[:2], clicks]


@pytest.fixture(scope="module")
def garments() -> list[Garment]:
    figures = [draw_figure(seed, 320 + 4 * seed, 200 + 8 * seed) for seed in range(IMAGES)]
    return [
        Garment(data_uri(figure.image), max(figure.masks.values(), key=np.sum))
        for figure in figures
    ]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("backend")
    settings = {"SAM_MODEL": "embedded", "WORKERS": "2", "EMBEDDING_CACHE_MB": "1"}
    with running_backend("sam_backend", folder, **settings) as running:
        yield running


def ask(url: str, garment: Garment, prompts: list[Json]) -> npt.NDArray[np.bool_]:
    """The mask; a connection of its own, as Label Studio does, so that any worker may answer."""
    answer = httpx.post(f"{url}/predict", json=body(garment.image, *prompts), timeout=100)
    (region,) = answer.raise_for_status().json()["results"][0]["result"]
    return mask_of(region)


def test_a_box_finds_the_garment_of_a_drawn_figure(
    backend: Backend, garments: list[Garment]
) -> None:
    found = [overlap(ask(backend.url, g, g.prompts()[0]), g.truth) for g in garments]
    assert np.mean(found) > 0.6


def test_a_batch_is_answered_with_nothing_for_each_task(backend: Backend) -> None:
    tasks = [{"id": i, "data": {"image": "gs://nowhere/x.jpg"}} for i in range(7)]
    request = {"tasks": tasks, "label_config": LABEL_CONFIG, "params": {"context": None}}
    answer = httpx.post(f"{backend.url}/predict", json=request, timeout=100).json()
    setup = httpx.post(f"{backend.url}/setup", json={"schema": LABEL_CONFIG}, timeout=100).json()
    assert answer == {"results": [[]] * 7, "model_version": setup["model_version"]}
    assert setup["model_version"].startswith("embedded-")


def test_both_workers_count_into_one(backend: Backend, garments: list[Garment]) -> None:
    before = answered(backend)
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda g: ask(backend.url, g, g.prompts()[0]), garments))
    assert answered(backend) == before + len(garments)


def answered(backend: Backend) -> float:
    """How many predictions the metrics know of, whichever worker is asked."""
    text = httpx.get(f"{backend.url}/metrics", timeout=30).text
    found = re.search(r'segstudio_tasks_total\{outcome="predicted"\} (\S+)', text)
    return float(found[1]) if found else 0


def test_eight_labelers_get_their_own_masks_whichever_worker_answers(
    backend: Backend, garments: list[Garment]
) -> None:
    expected = [[ask(backend.url, g, prompts) for prompts in g.prompts()] for g in garments]

    def label(seed: int) -> None:
        order = random.Random(seed)
        for _ in range(OBJECTS_EACH):
            index = order.randrange(IMAGES)
            for step, prompts in enumerate(garments[index].prompts()):
                mask = ask(backend.url, garments[index], prompts)
                assert np.array_equal(mask, expected[index][step])

    with ThreadPoolExecutor(LABELERS) as labelers:
        list(labelers.map(label, range(LABELERS)))
