"""Who may ask the ML API, and with what bodies."""

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml_backend.labelstudio.schemas import Prediction
from ml_backend.serving.app import create_app
from ml_backend.serving.settings import BackendSettings
from tests.support.one_box import OneBox, post, ready_client, recorded


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
