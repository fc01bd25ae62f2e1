"""The segmentation backend as a real process, with the shipped network."""

import base64
import http.client
import io
import select
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from ml_backend.labelstudio.brush_rle import decode_rle
from synthetic.people import draw_figure
from tests.support.asking import jpeg
from tests.support.http_server import Reply, Server
from tests.support.processes import Backend, running_backend
from tests.support.repository import TEMPLATE

HTTPX_KEEPS = 5.5
"""Seconds after which httpx, unless told otherwise, no longer uses a connection."""

PREDICT_SECONDS = 8
"""Enough for one image, however much else this machine does."""

CONFIG = TEMPLATE.read_text()

Mask = npt.NDArray[np.bool_]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with running_backend("segmentation_backend", tmp_path_factory.mktemp("backend")) as running:
        yield running


def reference(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=92)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def predict(url: str, references: list[str]) -> list[Any]:
    tasks = [{"id": i, "data": {"image": text}} for i, text in enumerate(references)]
    body = {"tasks": tasks, "label_config": CONFIG, "params": {"context": None}}
    response = httpx.post(f"{url}/predict", json=body, timeout=100)
    assert response.status_code == 200
    results: list[Any] = response.json()["results"]
    return results


def test_the_garments_of_drawn_figures_come_masked_and_named(backend: Backend) -> None:
    figures = [draw_figure(seed, 825, 550) for seed in range(4)]
    entries = predict(backend.url, [reference(figure.image) for figure in figures])
    overlaps = []
    for figure, entry in zip(figures, entries, strict=True):
        found = label_masks(entry["result"])
        overlaps.append(iou(union(found.values()), union(figure.masks.values())))
        largest = max(figure.masks, key=lambda name: int(figure.masks[name].sum()))
        assert iou(found[largest], figure.masks[largest]) > 0.7
    assert statistics.mean(overlaps) > 0.8


def label_masks(results: list[Any]) -> dict[str, Mask]:
    """Return the union of the regions of each label: a pair of shoes is two regions."""
    masks: dict[str, list[Mask]] = {}
    for region, listed in zip(results[::2], results[1::2], strict=True):
        mask = decode_rle(region["value"]["rle"], 825, 550)
        masks.setdefault(listed["value"]["labels"][0], []).append(mask)
    return {label: union(parts) for label, parts in masks.items()}


def union(masks: Iterable[Mask]) -> Mask:
    joined: Mask = np.any(list(masks), axis=0)
    return joined


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_health_and_setup_answer_while_predictions_run_and_wait_for_none(backend: Backend) -> None:
    busy = [reference(draw_figure(seed, 825, 550).image) for seed in range(8)]
    work = threading.Thread(target=predict, args=(backend.url, busy))
    waits = []
    started = time.monotonic()
    work.start()
    setup = {"schema": CONFIG, "project": "1.1"}
    with httpx.Client(base_url=backend.url) as client:
        while work.is_alive():
            for answer in (client.get("/health"), client.post("/setup", json=setup)):
                assert answer.status_code == 200
                waits.append(answer.elapsed.total_seconds())
    one_image = (time.monotonic() - started) / len(busy)
    assert len(waits) > 20
    assert statistics.median(waits) < one_image / 4
    assert statistics.quantiles(waits, n=20)[-1] < one_image


def test_a_connection_stays_open_for_longer_than_clients_keep_theirs(backend: Backend) -> None:
    connection = http.client.HTTPConnection(*backend.address)
    connection.request("GET", "/livez")
    assert connection.getresponse().read()
    closed, _, _ = select.select([connection.sock], [], [], HTTPX_KEEPS)
    assert not closed
    connection.close()


def test_the_time_for_a_call_holds_and_the_late_tasks_are_asked_again(tmp_path: Path) -> None:
    server, picture = Server(), draw_figure(0, 825, 550).image
    server.raw["/late.jpg"] = server.hang
    pictures = [reference(picture), f"{server.url}/late.jpg", *[reference(picture)] * 5]
    variables = {"PREDICT_SECONDS": f"{PREDICT_SECONDS}", "ALLOWED_IMAGE_HOSTS": server.host}
    with running_backend("segmentation_backend", tmp_path, **variables) as backend:
        started = time.monotonic()
        first, *late = predict(backend.url, pictures)
        took = time.monotonic() - started
        assert first != []
        assert late == [[]] * 6
        assert PREDICT_SECONDS <= took < 3 * PREDICT_SECONDS
        server.replies["/late.jpg"] = Reply(body=jpeg())
        del server.raw["/late.jpg"]
        assert [] not in predict(backend.url, pictures[1:2])
    server.stop()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PORT": "many"}, "PORT"),
        ({"BASIC_AUTH_USER": "ann"}, "BASIC_AUTH_USER and BASIC_AUTH_PASS go together"),
        ({"GOOGLE_APPLICATION_CREDENTIALS_BASE64": "%%%"}, "base64"),
        ({"SEGMENTATION_MODEL": "best"}, "SEGMENTATION_MODEL"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(variables: dict[str, str], said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "segmentation_backend"],
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
