"""A predictor whose answers are known, served by the ML API in this process."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ml_backend.deadline import Deadline
from ml_backend.errors import LabelConfigError, TaskError
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Region, Task
from ml_backend.serving.app import create_app
from ml_backend.serving.settings import BackendSettings
from tests.support.repository import PAYLOADS


def recorded(name: str) -> Any:
    payload = json.loads((PAYLOADS / f"{name}.json").read_text())
    return payload["body"] if "path" in payload else payload


class OneBox:
    """Answers each task with one box; the task's id decides what goes wrong."""

    model_version = "one-box-1"
    classes = ("background", "box")
    learns = False
    reads_text = False

    def __init__(self, fails: Mapping[Any, TaskError] | None = None) -> None:
        self.fails = fails or {}
        self.contexts: list[Context | None] = []
        self.may_answer = threading.Event()
        self.asked = threading.Event()
        self.may_answer.set()

    def for_project(self, project: object) -> "OneBox":
        return self

    def check(self, label_config: LabelConfig) -> str:
        if "Dress" not in {label.value for label in label_config.mask_labels()}:
            raise LabelConfigError("no label Dress", 'add <Label value="Dress"/>')
        return ""

    def predict(
        self,
        tasks: Sequence[Task],
        context: Context | None,
        *,
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Iterator[Prediction | TaskError | None]:
        self.contexts.append(context)
        for task in tasks:
            self.asked.set()
            self.may_answer.wait(timeout=60)
            yield self.fails.get(task.id) or self._box(task)

    def _box(self, task: Task) -> Prediction:
        value = {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": ["Dress"]}
        region = Region(
            id=f"r{task.id}",
            from_name="tag3",
            to_name="image",
            type="rectanglelabels",
            value=value,
            original_width=640,
            original_height=480,
            score=0.5,
        )
        return Prediction(result=[region], score=0.5, model_version=self.model_version)


def ready_client(predictor: Predictor, **settings: Any) -> FlaskClient:
    return loaded(lambda: predictor, **settings)


def loaded(load: Callable[[], Predictor], **settings: Any) -> FlaskClient:
    """A client whose app has finished loading, well or badly."""
    client = create_app(load, BackendSettings(**settings)).test_client()
    give_up = time.monotonic() + 10
    while "the model is loading" in client.get("/readyz").text:
        assert time.monotonic() < give_up
    return client


def post(client: FlaskClient, path: str, body: Any, **headers: str) -> TestResponse:
    return client.post(
        path, data=json.dumps(body), content_type="application/json", headers=headers
    )
