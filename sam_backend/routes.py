"""``POST /prewarm``, an extension of the ML API."""

import json
from typing import Annotated, Any, cast

import msgspec
from flask import Blueprint, Response, current_app

from ml_backend.errors import TaskError
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.schemas import MOST_TASKS, TaskWithLogin
from ml_backend.serving.app import service_of
from ml_backend.serving.request_body import read_body
from ml_backend.serving.service import TOO_MANY
from sam_backend.predictor import Prewarmed, SamPredictor
from sam_backend.prewarming import Prewarmer

EXTENSION = "segstudio-prewarmer"

blueprint = Blueprint("sam", __name__)


class PrewarmRequest(msgspec.Struct, frozen=True):
    """Tasks to prepare; with ``wait``, the response has the outcome of each."""

    tasks: Annotated[list[TaskWithLogin], msgspec.Meta(max_length=MOST_TASKS)]
    label_config: str
    wait: bool = False


@blueprint.post("/prewarm")
def prewarm() -> Response:
    """Queue tasks and respond 202; with ``wait``, prepare them and respond 200 with outcomes."""
    body = read_body(PrewarmRequest)
    label_config = parse_label_config(body.label_config)
    if not body.wait:
        prewarmer: Prewarmer = current_app.extensions[EXTENSION]
        prewarmer.offer(body.tasks, label_config)
        return _json({"status": "accepted"}, 202)
    outcomes = _outcomes(body.tasks, label_config)
    return _json({"results": [_to_entry(outcome) for outcome in outcomes]}, 200)


def _outcomes(tasks: list[TaskWithLogin], label_config: LabelConfig) -> list[Prewarmed | TaskError]:
    service = service_of(current_app)
    predictor = cast(SamPredictor, service.predictor)
    predictor.check(label_config)
    with service.place() as deadline:
        admitted = service.admitted(tasks)
        outcomes = predictor.prewarm(admitted, label_config=label_config, deadline=deadline)
        return [*outcomes, *[TOO_MANY] * (len(tasks) - len(admitted))]


def _to_entry(outcome: Prewarmed | TaskError) -> dict[str, Any]:
    if isinstance(outcome, TaskError):
        return {"outcome": "failed", "error": outcome.kind, "reason": str(outcome)}
    return {"outcome": outcome}


def _json(body: dict[str, Any], status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
