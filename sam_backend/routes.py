"""``POST /prewarm``: an addition of ours to the ML API."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, current_app

from ml_backend.api import read_body
from ml_backend.contract import MOST_TASKS, Task
from ml_backend.deadline import Deadline
from ml_backend.errors import TaskError
from ml_backend.label_config import parse_label_config
from sam_backend.predictor import Prewarmed
from sam_backend.prewarming import Prewarmer
from sam_backend.settings import SamSettings

EXTENSION = "segstudio-prewarmer"

blueprint = Blueprint("sam", __name__)


@dataclass(frozen=True)
class Prewarming:
    """What the view needs: kept in ``app.extensions``."""

    prewarmer: Prewarmer
    settings: SamSettings


class PrewarmRequest(msgspec.Struct, frozen=True):
    """Tasks whose images are wanted soon; with ``wait``, the answer tells what became of each."""

    tasks: Annotated[list[Task], msgspec.Meta(max_length=MOST_TASKS)]
    label_config: str
    wait: bool = False


@blueprint.post("/prewarm")
def prewarm() -> Response:
    """Take tasks, 202; or with ``wait`` do them, 200 with an outcome for each."""
    this: Prewarming = current_app.extensions[EXTENSION]
    body = read_body(PrewarmRequest)
    label_config = parse_label_config(body.label_config)
    if not body.wait:
        this.prewarmer.offer(body.tasks, body.label_config)
        return _json({"status": "accepted"}, 202)
    predictor = this.prewarmer.predictor
    predictor.check(label_config)
    outcomes = predictor.prewarm(
        body.tasks[: this.settings.max_tasks],
        label_config=label_config,
        deadline=Deadline.after(this.settings.predict_seconds),
    )
    return _json({"results": [_entry(outcome) for outcome in outcomes]}, 200)


def _entry(outcome: Prewarmed | TaskError) -> dict[str, Any]:
    if isinstance(outcome, TaskError):
        return {"outcome": "failed", "error": outcome.kind, "reason": str(outcome)}
    return {"outcome": outcome}


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
