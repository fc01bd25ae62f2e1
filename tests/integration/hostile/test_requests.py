"""Requests of every shape that docs/openapi.yaml allows, and of many that it does not."""

import socket
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
import yaml
from flask import Flask
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

import sam_backend.app
import segmentation_backend.app
from tests.integration.hostile.conftest import Scene
from tests.support.repository import ROOT

DESCRIPTION = ROOT / "docs" / "openapi.yaml"
MB = 1 << 20
OF_SAM = {"/prewarm"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]

schema = schemathesis.openapi.from_path(str(DESCRIPTION))


@pytest.fixture(params=["segmentation", "sam"])
def url(scene: Scene, request: pytest.FixtureRequest) -> str:
    found: str = getattr(scene, request.param).url
    return found


@schema.parametrize()
@settings(max_examples=25, suppress_health_check=list(HealthCheck), derandomize=True)
def test_any_request_gets_an_answer_as_described(
    case: schemathesis.Case[Any], scene: Scene
) -> None:
    for backend in [scene.sam] if case.path in OF_SAM else scene.backends:
        case.call_and_validate(base_url=backend.url, checks=CHECKS)


def routes(app: Flask) -> dict[str, set[str]]:
    """Path to methods, as the app has them."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            found.setdefault(rule.rule, set()).update(method.lower() for method in methods)
    return found


@pytest.mark.parametrize(
    ("app", "server"),
    [(segmentation_backend.app, "segmentation backend"), (sam_backend.app, "sam backend")],
)
def test_the_description_has_all_routes_and_no_others(
    app: Any, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "configure_logging", lambda level: None)  # this process has its own
    monkeypatch.setattr(app, "load_predictor", lambda *_: None)
    description = yaml.safe_load(DESCRIPTION.read_text())
    described = {
        path: set(item) - {"servers"}
        for path, item in description["paths"].items()
        if server in {each["description"] for each in item.get("servers", description["servers"])}
    }
    assert described == routes(app.create_app())


def test_the_examples_of_the_description_are_served(scene: Scene) -> None:
    paths = yaml.safe_load(DESCRIPTION.read_text())["paths"]
    served = 0
    for path, item in paths.items():
        if "servers" in item or "post" not in item:
            continue
        content = item["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            for backend in scene.backends:
                answer = httpx.post(backend.url + path, json=example["value"], timeout=60)
                assert answer.status_code == 200, answer.text
                served += 1
    assert served >= 8


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"tasks":',
        b'{"tasks":{},"label_config":""}',
        b'{"tasks":[{"id":{}}],"label_config":""}',
        b'{"tasks":[{"id":1e999}],"label_config":""}',
        b'{"tasks":[{"id":' + b"9" * 10_000 + b'}],"label_config":""}',
        b'{"tasks":[{"data":[]}],"label_config":""}',
        b'{"tasks":[],"label_config":7}',
        b'{"tasks":[],"label_config":"\\ud800"}',
        b'{"tasks":[],"label_config":"","params":[]}',
        b'{"tasks":' + b"[" * 10**6,
        b'{"x":' + b"[" * 10**6 + b"]" * 10**6 + b',"tasks":[],"label_config":""}',
        b'{"tasks":[{"data":{"image":' + b'{"a":' * 10**5 + b"1" + b"}" * 10**5 + b"}}]}",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_cannot_be_read_is_the_callers_error(url: str, body: bytes) -> None:
    answer = httpx.post(f"{url}/predict", content=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("the body cannot be read")


def test_a_body_without_end_is_cut_off(scene: Scene) -> None:
    sent = 0
    with socket.create_connection(scene.sam.address, timeout=60) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while sent < 1000 * MB:
                connection.sendall(b"100000\r\n" + bytes(MB) + b"\r\n")
                sent += MB
    assert sent < 400 * MB  # MAX_REQUEST_MB, and what is under way
