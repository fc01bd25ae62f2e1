"""Label Studio or the bucket in trouble: its images fail, the others do not, and it passes."""

import re
import socket
import time
from collections.abc import Callable

import pytest

from tests.integration.faults.conftest import IMAGE_SECONDS, Scene, access_token
from tests.support.asking import counted, data_uri, jpeg, last_failure, predicted
from tests.support.http_server import Reply, Server

GOOD = data_uri(jpeg())
LOGIN_PAGE = Reply(
    body=b"<!doctype html><title>Log in</title>", headers={"Content-Type": "text/html"}
)

Trouble = Callable[[Server, str], None]


def status(code: int) -> Trouble:
    def answer(server: Server, path: str) -> None:
        server.replies[path] = Reply(code, b"the reason")

    return answer


def web_page(server: Server, path: str) -> None:
    server.replies[path] = LOGIN_PAGE


def hangs(server: Server, path: str) -> None:
    server.raw[path] = server.hang


def drips(server: Server, path: str) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not server.stopping.wait(0.1):
            connection.sendall(b"x")

    server.raw[path] = drip


def breaks_off(server: Server, path: str) -> None:
    def half(connection: socket.socket) -> None:
        data = jpeg()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data[: len(data) // 2])

    server.raw[path] = half


def recovers(server: Server, path: str) -> None:
    server.raw.pop(path, None)
    server.replies[path] = Reply(body=jpeg(seed=1))


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (status(500), "HTTP 500"),
        (status(503), "HTTP 503"),
        (web_page, "web page instead of an image"),
        (hangs, "in time"),
        (drips, f"in time|within {IMAGE_SECONDS} s"),
        (breaks_off, "broke off"),
    ],
)
def test_label_studio_in_trouble_costs_its_own_images_only_and_passes(
    scene: Scene, trouble: Trouble, reason: str
) -> None:
    upload = scene.upload()
    before = counted(scene.backend, "image_fetch")
    trouble(scene.studio, upload)
    started = time.monotonic()
    assert predicted(scene.backend, GOOD, upload, GOOD) == [True, False, True]
    assert time.monotonic() - started < IMAGE_SECONDS + 15
    assert upload in last_failure(scene.backend)
    assert re.search(reason, last_failure(scene.backend))
    assert counted(scene.backend, "image_fetch") == before + 1
    recovers(scene.studio, upload)
    assert predicted(scene.backend, upload) == [True]


def test_label_studio_down_and_up_again_needs_no_restart(scene: Scene) -> None:
    upload, port = scene.upload(), scene.studio.port
    replies = scene.studio.replies
    scene.studio.stop()
    assert predicted(scene.backend, GOOD, upload) == [True, False]
    assert "connection to 127.0.0.1 failed" in last_failure(scene.backend)
    scene.studio = Server(port)
    scene.studio.replies = replies
    recovers(scene.studio, upload)
    assert predicted(scene.backend, GOOD, upload) == [True, True]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (LOGIN_PAGE, "web page"),
        (Reply(body=b"<html>"), "token refresh returned no token"),
        (Reply(body=b"{}"), "token refresh returned no token"),
        (Reply(500), "HTTP 500"),
        (Reply(401), "HTTP 401"),
    ],
)
def test_no_access_token_is_a_reason_and_no_end(scene: Scene, answer: Reply, reason: str) -> None:
    upload = scene.upload()
    scene.studio.replies["/api/token/refresh/"] = answer
    scene.studio.replies[upload] = Reply(401)  # the token that the backend still has is too old
    assert predicted(scene.backend, upload, GOOD) == [False, True]
    assert re.search(reason, last_failure(scene.backend))
    scene.studio.replies["/api/token/refresh/"] = access_token()
    recovers(scene.studio, upload)
    assert predicted(scene.backend, upload) == [True]


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (status(403), r"HTTP 403 \(give the service account the role Storage Object Viewer"),
        (status(404), r"HTTP 404 \(check the names of bucket and object"),
        (status(429), "HTTP 429"),
        (status(503), "HTTP 503"),
        (hangs, f"Timeout|within {IMAGE_SECONDS} s"),
        (drips, f"Timeout|within {IMAGE_SECONDS} s"),
        (breaks_off, "ConnectionError|ChunkedEncodingError"),
    ],
)
def test_a_bucket_in_trouble_costs_its_own_images_only_and_passes(
    scene: Scene, trouble: Trouble, reason: str
) -> None:
    name = scene.upload().rpartition("/")[2]
    reference, path = f"gs://photos/{name}", f"/download/storage/v1/b/photos/o/{name}"
    before = counted(scene.backend, "image_fetch")
    trouble(scene.bucket, path)
    assert predicted(scene.backend, GOOD, reference, GOOD) == [True, False, True]
    assert reference in last_failure(scene.backend)
    assert re.search(reason, last_failure(scene.backend))
    assert counted(scene.backend, "image_fetch") == before + 1
    recovers(scene.bucket, path)
    assert predicted(scene.backend, reference) == [True]
