"""The ML API as Label Studio sees it, replaying what Label Studio 1.23.2 really sent."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from flask.testing import FlaskClient

from ml_backend import __version__
from ml_backend.errors import ImageFetchError, ModelError
from ml_backend.labelstudio.predictor import Predictor
from ml_backend.serving.app import create_app
from ml_backend.serving.settings import BackendSettings
from tests.support.one_box import OneBox, loaded, post, ready_client, recorded

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
