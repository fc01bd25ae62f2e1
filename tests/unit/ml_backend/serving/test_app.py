"""The ML API as Label Studio sees it, replaying what Label Studio 1.23.2 really sent."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from ml_backend import __version__
from ml_backend.deadline import Deadline
from ml_backend.errors import ImageFetchError, LabelConfigError, ModelError, TaskError
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Region, Task
from ml_backend.serving.app import create_app
from ml_backend.serving.logs import configure_logging
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


@pytest.fixture(scope="module")
def logging_to_stderr() -> Iterator[None]:
    """As in a real process, where ``caplog`` listens too."""
    configure_logging("INFO")
    yield
    structlog.reset_defaults()


@pytest.fixture
def predictor() -> OneBox:
    return OneBox()


@pytest.fixture
def client(predictor: OneBox) -> FlaskClient:
    return ready_client(predictor)


def post(client: FlaskClient, path: str, body: Any, **headers: str) -> TestResponse:
    return client.post(
        path, data=json.dumps(body), content_type="application/json", headers=headers
    )


# --- what Label Studio calls -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/health", "/readyz", "/livez"])
def test_a_loaded_backend_is_healthy(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.is_json


def test_connecting_gets_a_model_version(client: FlaskClient) -> None:
    response = post(client, "/setup", recorded("fashion_setup_on_add"))
    assert response.get_json() == {"model_version": "one-box-1"}


@pytest.mark.parametrize("extra", [{"a": 1}, '{"a": 1}', "", None])
def test_extra_params_come_in_four_shapes(client: FlaskClient, extra: Any) -> None:
    body = recorded("fashion_setup_on_add") | {"extra_params": extra}
    assert post(client, "/setup", body).status_code == 200


def test_a_config_the_model_cannot_serve_is_refused_in_the_status_line(client: FlaskClient) -> None:
    body = recorded("fashion_setup_on_add")
    body["schema"] = body["schema"].replace("Dress", "Röck\n")
    response = post(client, "/setup", body)
    assert response.status_code == 422
    assert response.status == '422 no label Dress (add <Label value="Dress"/>)'
    assert response.get_json()["error"]["type"] == "label_config"


def test_versions_lists_the_one_version_and_the_models_classes(client: FlaskClient) -> None:
    assert client.get("/versions").get_json() == {
        "versions": ["one-box-1"],
        "segstudio": __version__,
        "classes": ["background", "box"],
        "learning": False,
        "text_prompts": False,
    }


@pytest.mark.parametrize(
    "name",
    ["fashion_webhook_ANNOTATION_CREATED", "fashion_webhook_PROJECT_UPDATED", "fashion_train"],
)
def test_events_are_taken_at_once_also_while_the_model_loads(name: str) -> None:
    may_load = threading.Event()
    events: list[tuple[str, Mapping[str, Any]]] = []

    def load() -> Predictor:
        may_load.wait(timeout=60)
        return OneBox()

    app = create_app(load, BackendSettings(), on_event=lambda *event: events.append(event))
    body = recorded(name)
    assert post(app.test_client(), "/webhook", body).status_code == 200
    may_load.set()
    ((event, data),) = events
    assert event == body["action"]
    assert data["project"]["id"] == 1


# --- batch predictions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "fashion_predict_1_task",
        "fashion_predict_12_tasks",
        "fashion_predict_with_existing_predictions",
    ],
)
def test_every_task_gets_one_entry_in_order(client: FlaskClient, name: str) -> None:
    body = recorded(name)
    answer = post(client, "/predict", body).get_json()
    assert [entry["result"][0]["id"] for entry in answer["results"]] == [
        f"r{task['id']}" for task in body["tasks"]
    ]
    assert {entry["model_version"] for entry in answer["results"]} == {"one-box-1"}


def test_setup_and_predict_tell_the_same_version(client: FlaskClient) -> None:
    setup = post(client, "/setup", recorded("fashion_setup_on_add")).get_json()
    answer = post(client, "/predict", recorded("fashion_predict_1_task")).get_json()
    assert setup["model_version"] == answer["results"][0]["model_version"]


def test_one_tasks_failure_is_an_empty_list_a_log_line_and_a_count(
    logging_to_stderr: None, caplog: pytest.LogCaptureFixture
) -> None:
    body = recorded("fashion_predict_12_tasks")
    failing = body["tasks"][4]["id"]
    client = ready_client(OneBox({failing: ImageFetchError("a.jpg: 404", "upload it again")}))
    answer = post(client, "/predict", body)
    assert answer.status_code == 200
    assert [entry == [] for entry in answer.get_json()["results"]] == [i == 4 for i in range(12)]
    assert "task_failed" in caplog.text
    assert "a.jpg: 404 (upload it again)" in caplog.text
    assert body["tasks"][4]["data"]["image"] in caplog.text
    metrics = client.get("/metrics").text
    assert 'segstudio_tasks_total{outcome="image_fetch"} 1.0' in metrics
    assert 'segstudio_tasks_total{outcome="predicted"} 11.0' in metrics


def test_when_the_time_is_spent_the_rest_get_empty_lists() -> None:
    client = ready_client(OneBox(), predict_seconds=1e-9)
    answer = post(client, "/predict", recorded("fashion_predict_12_tasks"))
    assert answer.status_code == 200
    assert answer.get_json()["results"] == [[]] * 12


def test_tasks_above_the_limit_get_empty_lists() -> None:
    client = ready_client(OneBox(), max_tasks=5)
    results = post(client, "/predict", recorded("fashion_predict_12_tasks")).get_json()["results"]
    assert [entry != [] for entry in results] == [True] * 5 + [False] * 7


def test_no_tasks_no_entries(client: FlaskClient) -> None:
    body = recorded("fashion_predict_1_task") | {"tasks": []}
    assert post(client, "/predict", body).get_json()["results"] == []


def test_tens_of_megabytes_of_old_masks_are_no_burden(client: FlaskClient) -> None:
    body = recorded("fashion_predict_1_task")
    region = {"type": "brushlabels", "value": {"rle": list(range(256)) * 400}}
    body["tasks"][0]["annotations"] = [{"result": [region] * 100}]
    response = post(client, "/predict", body)
    assert response.status_code == 200
    assert len(response.get_json()["results"]) == 1


# --- interactive predictions -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "boxes", "points"),
    [
        ("sam_predict_ui_0_t0", 1, 0),
        ("sam_predict_ui_1_t0", 0, 1),
        ("sam_predict_ui_2_t0", 0, 2),
        ("sam_predict_ui_3_t0", 0, 3),
        ("sam_predict_interactive_api", 1, 0),
    ],
)
def test_what_the_browser_sends_reaches_the_model(
    client: FlaskClient, predictor: OneBox, name: str, boxes: int, points: int
) -> None:
    body = recorded(name)
    answer = post(client, "/predict", body).get_json()
    (context,) = predictor.contexts
    assert context
    assert (len(context.boxes), len(context.points)) == (boxes, points)
    assert len(answer["results"]) == 1
    assert answer["results"][0]["result"]


@pytest.mark.parametrize(
    "context", [{}, {"result": []}, {"result": [{"type": "brush"}]}, [], "x", 3]
)
def test_a_context_with_nothing_in_it_gets_an_empty_result(
    client: FlaskClient, context: Any
) -> None:
    body = recorded("sam_predict_ui_0_t0")
    body["params"]["context"] = context
    (entry,) = post(client, "/predict", body).get_json()["results"]
    assert entry == {"result": [], "score": 0, "model_version": "one-box-1"}


def test_a_click_that_fails_gets_an_empty_result() -> None:
    client = ready_client(OneBox({1: ImageFetchError("gone")}))
    (entry,) = post(client, "/predict", recorded("sam_predict_ui_0_t0")).get_json()["results"]
    assert entry["result"] == []


def test_a_null_context_is_a_batch(client: FlaskClient, predictor: OneBox) -> None:
    body = recorded("sam_predict_ui_0_t0")
    body["params"]["context"] = None
    post(client, "/predict", body)
    assert predictor.contexts == [None]


# --- while it loads, when it fails, when it is busy ----------------------------------------------


def test_while_the_model_loads_only_livez_is_well() -> None:
    may_load = threading.Event()
    predictor = OneBox()

    def load() -> Predictor:
        may_load.wait(timeout=60)
        return predictor

    client = create_app(load, BackendSettings()).test_client()
    assert client.get("/livez").status_code == 200
    for response in (
        client.get("/readyz"),
        client.get("/health"),
        post(client, "/setup", recorded("fashion_setup_on_add")),
        post(client, "/predict", recorded("fashion_predict_1_task")),
    ):
        assert response.status_code == 503
        assert response.headers["Retry-After"]
        assert response.get_json()["error"]["type"] == "busy"
    may_load.set()


def test_a_model_that_cannot_load_says_why() -> None:
    def load() -> Predictor:
        raise ModelError("x.pt is cut short", "place it again")

    response = loaded(load).get("/readyz")
    assert response.status_code == 503
    assert response.get_json()["error"]["message"] == "x.pt is cut short"
    assert response.get_json()["error"]["hint"] == "place it again"


def test_a_model_that_fails_unexpectedly_says_so_each_time() -> None:
    def load() -> Predictor:
        raise RuntimeError("no such device")

    client = loaded(load)
    for _ in range(2):
        response = client.get("/readyz")
        assert response.status_code == 503
        assert "no such device" in response.get_json()["error"]["message"]


def test_health_and_setup_answer_while_a_prediction_is_running(predictor: OneBox) -> None:
    client = ready_client(predictor)
    predictor.may_answer.clear()
    body = recorded("fashion_predict_1_task")
    working = threading.Thread(
        target=lambda: post(client.application.test_client(), "/predict", body)
    )
    working.start()
    assert predictor.asked.wait(10)
    assert client.get("/health").status_code == 200
    assert post(client, "/setup", recorded("fashion_setup_on_add")).status_code == 200
    predictor.may_answer.set()
    working.join(10)


def test_above_the_queues_length_callers_are_told_to_come_back(predictor: OneBox) -> None:
    client = ready_client(predictor, max_queue=1)
    predictor.may_answer.clear()
    body = recorded("fashion_predict_1_task")
    working = threading.Thread(
        target=lambda: post(client.application.test_client(), "/predict", body)
    )
    working.start()
    assert predictor.asked.wait(10)
    response = post(client, "/predict", body)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    predictor.may_answer.set()
    working.join(10)
    assert post(client, "/predict", body).status_code == 200


# --- who may ask, and with what -----------------------------------------------------------------


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "headers", [{}, basic("ann", "wrong"), basic("bob", "s3cret"), {"Authorization": "Token x"}]
)
def test_with_basic_auth_only_livez_is_open(
    predictor: OneBox,
    headers: dict[str, str],
    logging_to_stderr: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = create_app(
        lambda: predictor, BackendSettings(basic_auth_user="ann", basic_auth_pass="s3cret")
    ).test_client()
    assert client.get("/livez", headers=headers).status_code == 200
    for path in ("/", "/health", "/readyz", "/versions", "/metrics"):
        response = client.get(path, headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Basic")
    assert client.post("/predict", headers=headers).status_code == 401
    assert "s3cret" not in caplog.text
    assert client.get("/livez", headers=basic("ann", "s3cret")).status_code == 200


def test_the_right_name_and_password_open_everything(predictor: OneBox) -> None:
    client = create_app(
        lambda: predictor, BackendSettings(basic_auth_user="ann", basic_auth_pass="pässword")
    ).test_client()
    assert client.get("/metrics", headers=basic("ann", "pässword")).status_code == 200


def test_a_body_above_the_limit_is_refused(predictor: OneBox) -> None:
    client = ready_client(predictor, max_request_mb=1)
    response = client.post("/predict", data=b" " * (2 << 20), content_type="application/json")
    assert response.status_code == 413
    assert response.get_json()["error"]["type"] == "http"


@pytest.mark.parametrize(
    ("told", "surplus", "status"),
    [(True, 0, 200), (True, 1, 413), (False, -1, 200), (False, 1, 413)],
)
def test_a_body_may_be_as_long_as_the_limit(
    predictor: OneBox, told: bool, surplus: int, status: int
) -> None:
    body = json.dumps(recorded("fashion_predict_1_task")).encode().ljust((1 << 20) + surplus)
    response = ready_client(predictor, max_request_mb=1).post(
        "/predict",
        input_stream=BytesIO(body),
        headers={} if told else {"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True},  # as gunicorn says of all
    )
    assert response.status_code == status


@pytest.mark.parametrize("path", ["/nothing", "/predict"])
def test_http_errors_are_json_too(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code in (404, 405)
    assert set(response.get_json()["error"]) == {"id", "type", "message", "hint"}


def test_an_unexpected_error_shows_no_traceback(predictor: OneBox) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> Iterator[Prediction]:
        raise RuntimeError("secret detail")

    predictor.predict = broken  # type: ignore[method-assign]
    response = post(ready_client(predictor), "/predict", recorded("fashion_predict_1_task"))
    assert response.status_code == 500
    assert "secret detail" not in response.text
    assert "Traceback" not in response.text


def test_the_request_id_is_kept_or_made(client: FlaskClient) -> None:
    assert (
        client.get("/health", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    )
    made = client.get("/health", headers={"X-Request-ID": "bad id\t!"}).headers["X-Request-ID"]
    assert len(made) == 32


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b"{",
        b"\xff",
        b'{"tasks": 3}',
        b'{"tasks": [3], "label_config": "x"}',
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/setup", "/webhook"])
def test_a_malformed_body_is_the_callers_error(client: FlaskClient, path: str, body: bytes) -> None:
    response = client.post(path, data=body, content_type="application/json")
    if path != "/webhook" or not body.startswith(b'{"'):
        assert response.status_code == 400
        assert response.get_json()["error"]["message"]


def test_json_nested_without_end_is_the_callers_error(client: FlaskClient) -> None:
    response = client.post("/predict", data=b'{"tasks":' + b"[" * 200_000)
    assert response.status_code == 400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "tasks": json_values
            | st.lists(st.fixed_dictionaries({"id": json_values, "data": json_values})),
            "label_config": json_values | st.just(recorded("fashion_setup_on_add")["schema"]),
            "params": json_values | st.fixed_dictionaries({"context": json_values}),
        },
    )
)
def test_wrong_types_in_any_field_are_never_a_server_error(client: FlaskClient, body: Any) -> None:
    assert post(client, "/predict", body).status_code in (200, 400, 422)
