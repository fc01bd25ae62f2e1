"""Several labelers on several images at once, over HTTP: everyone gets the mask of their own."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from flask import Flask
from werkzeug.serving import make_server

from sam_backend.models.base import PromptableModel
from sam_backend.models.segment_anything import SegmentAnything
from tests.support import tiny_sam
from tests.support.sam_calls import Json, body, box, click, make_app, make_predictor, mask_of
from tests.support.scenes import Disc, FillModel, data_uri, disc_mask, draw

LABELERS = 8
OBJECTS_EACH = 20
IMAGES = 24
CACHED = 5
"""Embeddings that fit in memory, so that images come and go."""


PROMPTS: list[list[Json]] = [
    [box(30, 20, 40, 60)],
    [click(50, 50)],
    [click(50, 50), click(1, 1)],
    [click(50, 50), click(1, 1), click(1, 1, positive=False)],
]
"""What every labeler sends for every image: the answer depends on the image alone."""


@dataclass(frozen=True)
class Scene:
    """An image whose object, like that of every other image, has the middle in it."""

    disc: Disc
    image: str


def scenes() -> list[Scene]:
    discs = [(54 + 4 * (i % 6), 42 + 4 * (i // 6), 25) for i in range(IMAGES)]
    return [Scene(disc, data_uri(draw([disc]))) for disc in discs]


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """The app on a port of loopback, each request in a thread of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(client: httpx.Client, scene: Scene, prompts: list[Json]) -> npt.NDArray[np.bool_]:
    answer = client.post("/predict", json=body(scene.image, *prompts)).raise_for_status().json()
    result = answer["results"][0]["result"]
    return mask_of(result[0]) if result else np.zeros((96, 128), np.bool_)


def label_everything(
    url: str, check: Callable[[int, int, npt.NDArray[np.bool_]], None], scenes: list[Scene]
) -> None:
    """All labelers at work, each on images in an order of their own."""

    def label(seed: int) -> None:
        order = random.Random(seed)
        with httpx.Client(base_url=url, timeout=60) as client:
            for _ in range(OBJECTS_EACH):
                index = order.randrange(IMAGES)
                for step, prompts in enumerate(PROMPTS):
                    check(index, step, ask(client, scenes[index], prompts))

    with ThreadPoolExecutor(LABELERS) as labelers:
        list(labelers.map(label, range(LABELERS)))


def test_every_mask_shows_the_object_of_its_own_image(tmp_path: Path) -> None:
    model = FillModel()
    some = scenes()
    nbytes = model.embed(draw([])).nbytes
    app = make_app(make_predictor(model, tmp_path, CACHED * nbytes))

    def check(index: int, step: int, mask: npt.NDArray[np.bool_]) -> None:
        everywhere = step == 2  # the second click takes the ground in as well
        assert np.array_equal(mask, disc_mask(some[index].disc) | everywhere)

    with serving(app) as url:
        label_everything(url, check, some)
    assert len(model.embedded) > IMAGES  # images did come and go


@pytest.fixture
def network(tmp_path: Path) -> PromptableModel:
    return SegmentAnything.load(tiny_sam.save(tmp_path), tmp_path, "cpu")


def test_a_real_network_answers_eight_labelers_as_it_answers_one(
    network: PromptableModel, tmp_path: Path
) -> None:
    some = scenes()
    alone = make_app(make_predictor(network, tmp_path / "alone"))
    with serving(alone) as url, httpx.Client(base_url=url, timeout=60) as client:
        expected = [[ask(client, scene, prompts) for prompts in PROMPTS] for scene in some]
    distinct = {mask.tobytes() for masks in expected for mask in masks}
    assert len(distinct) > 2 * IMAGES

    def check(index: int, step: int, mask: npt.NDArray[np.bool_]) -> None:
        assert np.array_equal(mask, expected[index][step])

    nbytes = network.embed(draw([])).nbytes
    with serving(make_app(make_predictor(network, tmp_path / "many", CACHED * nbytes))) as url:
        label_everything(url, check, some)
