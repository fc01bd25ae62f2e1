"""Label Studio ML API over HTTP: parse, authorize, respond. Makes no decision about images."""

import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from flask import Blueprint, Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ml_backend import __version__
from ml_backend.errors import (
    BusyError,
    RequestError,
    SegstudioError,
    UnauthorizedError,
)
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.labelstudio.prompts import has_prompts, is_empty
from ml_backend.labelstudio.schemas import (
    InteractiveRequest,
    Prediction,
    PredictRequest,
    PredictResponse,
    SetupRequest,
    WebhookRequest,
)
from ml_backend.serving.basic_auth import authorize
from ml_backend.serving.metrics import Metrics
from ml_backend.serving.request_body import decode, read, read_body
from ml_backend.serving.service import Answer, Service
from ml_backend.serving.settings import BackendSettings
from ml_backend.serving.suggestions import Suggestions
from ml_backend.serving.task_records import record_tasks

log = structlog.get_logger(__name__)
blueprint = Blueprint("ml", __name__)

_EXTENSION = "segstudio"


class _App:
    """State shared by the views of one app, kept in ``app.extensions``."""

    def __init__(
        self,
        service: Service,
        settings: BackendSettings,
        metrics: Metrics,
        on_event: Callable[[str, Mapping[str, Any]], None] | None,
    ) -> None:
        self.service = service
        self.settings = settings
        self.metrics = metrics
        self.on_event = on_event
        self.suggestions = Suggestions()


def create_app(
    load: Callable[[], Predictor],
    settings: BackendSettings,
    metrics: Metrics | None = None,
    on_event: Callable[[str, Mapping[str, Any]], None] | None = None,
) -> Flask:
    """Create the WSGI app of a backend; the model begins to load in the background.

    Args:
        load: Function that loads and warms the model and returns its predictor.
        settings: Settings of the backend.
        metrics: Metrics served at ``/metrics``, if the backend adds its own counters.
        on_event: Function that takes the name and the objects of each event of Label Studio, also
            while the model loads; must return at once.
    """
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_request_bytes
    metrics = metrics or Metrics()
    service = Service(load, settings, metrics)
    app.extensions[_EXTENSION] = _App(service, settings, metrics, on_event)
    app.register_blueprint(blueprint)
    app.before_request(_start_request)
    app.after_request(_finish_request)
    app.register_error_handler(SegstudioError, _segstudio_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected_error)
    return app


def service_of(app: Flask) -> Service:
    """Return the service of an app that ``create_app`` made."""
    this: _App = app.extensions[_EXTENSION]
    return this.service


@blueprint.get("/")
@blueprint.get("/health")
def health() -> Response:
    """Respond to the check that Label Studio makes before each batch: 200 only when ready."""
    return _json({"status": "UP", "model_version": _state().service.predictor.model_version})


@blueprint.get("/livez")
def livez() -> Response:
    """Respond 200 while the process is alive."""
    return _json({"status": "alive"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """Respond 200 when the model is loaded and warmed, until then 503 with the reason."""
    return _json({"status": "ready", "model_version": _state().service.predictor.model_version})


@blueprint.post("/setup")
def setup() -> Response:
    """Return the project's model version, or refuse the label config in the status line."""
    accepted = _state().service.setup(read_body(SetupRequest))
    answer = {"model_version": accepted.model_version}
    if accepted.remark:
        log.info("setup_remark", remark=accepted.remark)
        answer["message"] = accepted.remark
    return _json(dict(answer))


@blueprint.get("/versions")
def versions() -> Response:
    """Return the version and the classes of a model, and segstudio's version.

    The model is that of the project in ``?project=`` (``<id>.<created unix time>``), else the
    default model.
    """
    predictor = _state().service.predictor.for_project(request.args.get("project"))
    return _json(
        {
            "versions": [predictor.model_version],
            "classes": predictor.classes,
            "learning": predictor.learns,
            "text_prompts": predictor.reads_text,
            "segstudio": __version__,
        }
    )


@blueprint.post("/webhook")
def webhook() -> Response:
    """Pass on an event; returns without work because Label Studio waits for the response."""
    body = read_body(WebhookRequest)
    action = body.pop("action", None)
    log.debug("event", action=action, fields=sorted(body))
    on_event = _state().on_event
    if on_event is not None and isinstance(action, str):
        on_event(action, body)
    return _json({"status": "ok"})


@blueprint.post("/predict")
def predict() -> Response:
    """Predict a batch of tasks, or one click."""
    sent = read(request)
    body = decode(sent, PredictRequest)
    if body.context is None:
        return _predictions(body)
    # From here on, every failure becomes "nothing found": Label Studio shows no errors, and
    # keeps the prompt of an error response on the page.
    g.interactive = body
    if has_prompts(body.context) and _is_exclusive(body):
        body = decode(sent, InteractiveRequest)
    return _no_suggestion(body) if is_empty(body.context) else _suggestions(body)


def _predictions(body: PredictRequest) -> Response:
    found = _predict(body)
    answer = PredictResponse(
        results=[each if isinstance(each, Prediction) else [] for each in found.outcomes],
        model_version=found.model_version,
    )
    return _answer(answer)


def _suggestions(body: PredictRequest) -> Response:
    found = _predict(body)
    results = _state().suggestions.found(body, found.outcomes, found.model_version)
    return _answer(PredictResponse(results=[*results], model_version=found.model_version))


def _no_suggestion(body: PredictRequest, text: str = "") -> Response:
    """Return an empty result for each task of an interactive call, with a reason if possible."""
    try:
        version = _state().service.predictor.model_version
        results = _state().suggestions.nothing(body, text, version)
    except SegstudioError:  # the model is loading, or the label config is invalid
        version = ""
        results = _state().suggestions.nothing(body, "", version)
    return _answer(PredictResponse(results=[*results], model_version=version))


def _predict(body: PredictRequest) -> Answer:
    found = _state().service.predict(body)
    record_tasks(body, found.outcomes, _state().metrics, _state().settings.max_tasks)
    return found


def _answer(body: PredictResponse) -> Response:
    return Response(body.model_dump_json(), content_type="application/json")


def _is_exclusive(body: PredictRequest) -> bool:
    """Return whether the answer depends on existing regions."""
    controls = parse_label_config(body.label_config).controls
    return any(control.options.exclusive for control in controls)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Return metrics in the Prometheus text format."""
    return Response(_state().metrics.render(), content_type="text/plain; version=0.0.4")


def _state() -> _App:
    app: _App = current_app.extensions[_EXTENSION]
    return app


def _start_request() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if re.fullmatch(r"[\w.-]{1,64}", given) else uuid.uuid4().hex
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)
    if request.endpoint != "ml.livez":
        authorize(_state().settings, request.authorization)


def _finish_request(response: Response) -> Response:
    seconds = time.perf_counter() - g.started
    endpoint = (request.endpoint or "unknown").removeprefix("ml.")
    _state().metrics.requests.labels(endpoint, response.status_code).inc()
    _state().metrics.seconds.labels(endpoint).observe(seconds)
    level = "info" if endpoint in ("predict", "setup", "webhook") else "debug"
    getattr(log, level)(
        "request", endpoint=endpoint, status=response.status_code, ms=round(seconds * 1000, 1)
    )
    response.headers["X-Request-ID"] = g.request_id
    return response


def _json(body: dict[str, object], status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def _error(status: int, kind: str, message: str, hint: str = "") -> Response:
    body = {"id": g.request_id, "type": kind, "message": message, "hint": hint}
    response = _json({"error": body}, status)
    # Label Studio shows its user nothing but the status line.
    reason = re.sub(r"[^\x20-\x7e]+", " ", f"{message} ({hint})" if hint else message)
    response.status = f"{status} {reason[:300]}"
    return response


def _segstudio_error(error: SegstudioError) -> Response:
    status = error.status if isinstance(error, RequestError) else BusyError.status
    log.warning("refused", error=error.kind, reason=str(error))
    if interactive := g.get("interactive"):
        return _no_suggestion(interactive, error.message)
    response = _error(status, error.kind, error.message, error.hint)
    if status == BusyError.status:
        response.headers["Retry-After"] = "1"
    if status == UnauthorizedError.status:
        response.headers["WWW-Authenticate"] = 'Basic realm="segstudio"'
    return response


def _http_error(error: HTTPException) -> Response:
    response = _error(error.code or 500, "http", error.description or error.name)
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return response


def _unexpected_error(error: Exception) -> Response:
    log.error("unexpected", exc_info=error)
    if interactive := g.get("interactive"):
        return _no_suggestion(interactive, "the backend failed")
    return _error(500, "unexpected", "the backend failed", "see its log for this id")
