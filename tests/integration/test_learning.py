"""The learner as a real process, and backends that take up what it learned."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import httpx
import pytest

from segmentation_backend.learning.requests import RequestFile
from segmentation_backend.learning.store import ProjectKey, ProjectStore
from tests.support.asking import data_uri
from tests.support.label_studio_server import (
    TOKEN,
    LabelStudioServer,
    Task,
    annotation,
    task,
)
from tests.support.own_labels import CONFIG, brush_result, draw_labeled
from tests.support.processes import Backend, running_backend
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1200)

ANNOTATED, LEFT = 20, 3
LEARNER = (sys.executable, "-m", "segmentation_backend.learning")
KEY = ProjectKey(3, 1_795_402_435)
PROMOTION_SECONDS = 10
LEARNING_SECONDS = 600  # on a machine that does much else


def picture(seed: int) -> str:
    _, png = cv2.imencode(".png", draw_labeled(seed)[0][..., ::-1])
    return data_uri(png.tobytes(), "png")


def drawn_task(seed: int) -> Task:
    result = brush_result(draw_labeled(seed)[1])
    annotations = [annotation(seed + 1, *result)] if seed < ANNOTATED else []
    found = task(f"{seed}.png", *annotations)
    found["data"]["image"] = picture(seed)
    return found


@dataclass(frozen=True)
class Place:
    """A project of twenty annotated pictures, and where its models are."""

    label_studio: LabelStudioServer
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        return {
            "LABEL_STUDIO_URL": self.label_studio.url,
            "LABEL_STUDIO_API_KEY": TOKEN,
            "MODELS_DIR": str(self.folder / "models"),
            "IMAGE_CACHE_DIR": str(self.folder / "images"),
            "LEARN_NICE": "0",  # else it waits for other tests
        }

    @property
    def store(self) -> ProjectStore:
        return ProjectStore(self.folder / "models" / "learned", KEY)

    @property
    def request(self) -> RequestFile:
        return RequestFile(self.folder / "models" / "learned", KEY)

    @contextmanager
    def learner(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run the learner, or a command of it, with its log in a file."""
        with (
            (self.folder / "learner.log").open("a") as log,
            subprocess.Popen(
                [*LEARNER, *words],
                env={**os.environ, **self.variables},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with LabelStudioServer() as label_studio:
        label_studio.add(CONFIG, [drawn_task(seed) for seed in range(ANNOTATED + LEFT)])
        yield Place(label_studio, tmp_path_factory.mktemp("learning"))


@pytest.fixture(scope="module")
def learned(place: Place) -> Place:
    """The place after a run that was killed, and another that went on from there."""
    place.request.add(at_once=True)
    with place.learner("run", "--project", "3", "--requested", str(KEY)) as killed:
        assert killed.stdout is not None
        steps = (json.loads(line) for line in killed.stdout)
        assert any(each.get("step") == "reading images" and each["done"] > 3 for each in steps)
        killed.kill()
        killed.wait()
    assert place.store.current() is None
    assert place.request.read() is not None

    with place.learner() as learner:
        eventually(lambda: place.store.current() is not None, LEARNING_SECONDS)
        eventually(lambda: len(place.label_studio.predictions) == LEFT, LEARNING_SECONDS)
        eventually(lambda: place.request.read() is None)
        learner.terminate()
        assert learner.wait(timeout=30) == 0
    return place


def test_a_killed_run_is_done_again_and_its_predictions_are_written(learned: Place) -> None:
    version = learned.store.current()
    assert version is not None
    unfinished = list(learned.label_studio.projects[3].tasks)[ANNOTATED:]
    assert learned.label_studio.predictions == [(id_, version.name) for id_ in unfinished]
    card = version.card()
    assert card["images"] == ANNOTATED
    assert card["annotators"] == {"anna@example.org": ANNOTATED}
    assert {"card.md", "contact-sheet.png"} <= {path.name for path in version.folder.iterdir()}
    assert len(list((learned.store.folder / "versions").iterdir())) == 1


def ask(backend: Backend) -> tuple[str, Any]:
    """The version that answers for an unseen picture, and its regions less their random ids."""
    body = {
        "tasks": [{"id": 1, "data": {"image": picture(1000)}}],
        "label_config": CONFIG,
        "project": str(KEY),
        "params": {"context": None},
    }
    answer = httpx.post(f"{backend.url}/predict", json=body, timeout=100)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    entries = [each for each in found["results"] if each]
    assert all(each["model_version"] == found["model_version"] for each in entries)
    regions = [{**region, "id": ""} for each in entries for region in each["result"]]
    return found["model_version"], regions


def setup(backend: Backend) -> dict[str, Any]:
    body = {"project": str(KEY), "schema": CONFIG}
    answer: dict[str, Any] = httpx.post(f"{backend.url}/setup", json=body, timeout=60).json()
    return answer


def test_two_workers_and_two_replicas_agree_and_take_up_a_change_within_ten_seconds(
    learned: Place, tmp_path: Path
) -> None:
    version = learned.store.current()
    assert version is not None
    (tmp_path / "other").mkdir()
    # As replicas have it: another number of threads adds in another order, and changes the last
    # digits of scores.
    variables = {**learned.variables, "THREADS": "1"}
    with (
        running_backend("segmentation_backend", tmp_path, WORKERS="2", **variables) as one,
        running_backend("segmentation_backend", tmp_path / "other", **variables) as other,
    ):
        answers = [ask(backend) for backend in (one, other) for _ in range(4)]
        assert answers == [answers[0]] * len(answers)
        assert answers[0][0] == version.name == setup(one)["model_version"]
        assert {r["value"]["brushlabels"][0] for r in answers[0][1]} <= {"ball", "crate"}
        assert answers[0][1]

        learned.store.rollback()
        begun, versions = time.monotonic(), [version.name]
        while time.monotonic() < begun + PROMOTION_SECONDS and version.name in versions:
            versions = [ask(backend)[0] for backend in (one, other) for _ in range(4)]
        assert version.name not in versions
        assert "none of these labels is known yet" in setup(other)["message"]
        learned.store.use(version)
