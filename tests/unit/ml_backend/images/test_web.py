"""http(s) references: limits of bytes, time and redirects, and what the user is told."""

import contextlib
import hashlib
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ml_backend.errors import (
    ImageDecodeError,
    ImageFetchError,
    ImageReferenceError,
    ImageRefusedError,
)
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.images.settings import MIB
from tests.support.http_server import Reply, Server
from tests.support.pictures import png
from tests.support.tls import Tls, make_certificate

Make = Callable[..., ImageSettings]


@pytest.fixture
def source(settings: Make, server: Server) -> ImageSource:
    return ImageSource(settings(allowed_image_hosts=(server.host,)))


def test_an_image_arrives_with_the_digest_of_its_file(source: ImageSource, server: Server) -> None:
    server.replies["/a b.png"] = server.replies["/a%20b.png"] = Reply(body=png())
    image = source.load(f"{server.url}/a b.png?v=1&w=ü#fragment")
    assert image.pixels.shape == (4, 6, 3)
    assert image.digest == hashlib.sha256(png()).hexdigest()
    assert server.paths == ["/a%20b.png?v=1&w=%C3%BC"]
    assert server.requests[0].headers["Host"] == server.host


def test_redirects_are_followed_a_few_times(source: ImageSource, server: Server) -> None:
    for status in (301, 302, 303, 307, 308):
        server.replies[f"/{status}"] = Reply(status, headers={"Location": "/a.png"})
    server.replies["/a.png"] = Reply(body=png())
    for status in (301, 302, 303, 307, 308):
        assert source.load(f"{server.url}/{status}").pixels.shape == (4, 6, 3)


def test_a_circle_of_redirects_ends(source: ImageSource, server: Server) -> None:
    server.replies["/loop"] = Reply(302, headers={"Location": "/loop"})
    with pytest.raises(ImageFetchError, match="more than 5 times"):
        source.load(f"{server.url}/loop")
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gs://bucket/a.png", "ftp://x/a", "data:image/png,a"]
)
def test_a_redirect_to_another_scheme_is_not_followed(
    location: str, source: ImageSource, server: Server
) -> None:
    server.replies["/a.png"] = Reply(302, headers={"Location": location})
    with pytest.raises(ImageReferenceError):
        source.load(f"{server.url}/a.png")


def test_a_redirect_to_nonsense_is_a_fetch_error(source: ImageSource, server: Server) -> None:
    server.replies["/a.png"] = Reply(302, headers={"Location": "http://[::1"})
    with pytest.raises(ImageFetchError, match="malformed"):
        source.load(f"{server.url}/a.png")


@pytest.mark.parametrize(
    ("status", "hint"),
    [(401, "login"), (403, "no access"), (404, "not there"), (429, "later"), (503, "later")],
)
def test_an_error_status_tells_what_to_do(
    status: int, hint: str, source: ImageSource, server: Server
) -> None:
    server.replies["/a.png"] = Reply(status, b"secret trace")
    with pytest.raises(ImageFetchError, match=f"127.0.0.1 answered HTTP {status}") as caught:
        source.load(f"{server.url}/a.png")
    assert hint in caught.value.hint
    assert "secret trace" not in str(caught.value)


def test_a_web_page_is_not_taken_for_an_image(source: ImageSource, server: Server) -> None:
    server.replies["/a.png"] = Reply(body=b"<html>", headers={"Content-Type": "Text/HTML; a=b"})
    with pytest.raises(ImageFetchError, match="web page instead of an image"):
        source.load(f"{server.url}/a.png")


def test_a_compressed_answer_is_not_inflated(source: ImageSource, server: Server) -> None:
    server.replies["/a.png"] = Reply(body=b"bomb", headers={"Content-Encoding": "gzip"})
    with pytest.raises(ImageFetchError, match="compressed"):
        source.load(f"{server.url}/a.png")
    assert server.requests[0].headers["Accept-Encoding"] == "identity"


def test_an_image_that_says_it_is_too_large_is_not_read(settings: Make, server: Server) -> None:
    def promise(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n")
        server.hang(connection)

    server.raw["/a.png"] = promise
    source = ImageSource(settings(allowed_image_hosts=(server.host,), max_image_mb=1_000_000 / MIB))
    with pytest.raises(ImageDecodeError, match="more than 1 MB"):
        source.load(f"{server.url}/a.png")


def test_an_endless_image_is_cut_off(settings: Make, server: Server) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while not server.stopping.is_set():
                connection.sendall(b"x" * 65536)

    server.raw["/a.png"] = endless
    source = ImageSource(settings(allowed_image_hosts=(server.host,), max_image_mb=1_000_000 / MIB))
    with pytest.raises(ImageDecodeError, match="MAX_IMAGE_MB"):
        source.load(f"{server.url}/a.png")


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a_server_that_drips_is_left_at_the_deadline(
    start: bytes, settings: Make, server: Server
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(start)
        with contextlib.suppress(OSError):
            while not server.stopping.wait(0.02):
                connection.sendall(b"x")

    server.raw["/a.png"] = drip
    source = ImageSource(settings(allowed_image_hosts=(server.host,), read_seconds=30))
    started = time.monotonic()
    with pytest.raises(ImageFetchError, match=r"did not arrive within|not answer in time"):
        source.load(f"{server.url}/a.png", timeout=0.3)
    assert time.monotonic() - started < 4


def test_a_server_that_hangs_is_left_at_the_read_timeout(settings: Make, server: Server) -> None:
    server.raw["/a.png"] = server.hang
    source = ImageSource(settings(allowed_image_hosts=(server.host,), read_seconds=0.2))
    with pytest.raises(ImageFetchError, match="did not answer in time"):
        source.load(f"{server.url}/a.png")


def test_no_time_at_all_is_no_time(source: ImageSource, server: Server) -> None:
    for timeout in (0, -1):
        with pytest.raises(ImageFetchError, match="did not arrive"):
            source.load(f"{server.url}/a.png", timeout=timeout)
    assert server.requests == []


def test_an_image_cut_off_in_the_middle_is_a_fetch_error(
    source: ImageSource, server: Server
) -> None:
    server.raw["/a.png"] = lambda connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + png()[:50]
    )
    with pytest.raises(ImageFetchError, match=r"connection to 127\.0\.0\.1 broke off"):
        source.load(f"{server.url}/a.png")
    del server.raw["/a.png"]
    server.replies["/a.png"] = Reply(body=png())
    assert source.load(f"{server.url}/a.png").pixels.shape == (4, 6, 3)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x01",
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nS3CRET\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_http_is_a_fetch_error(
    answer: bytes, source: ImageSource, server: Server
) -> None:
    server.raw["/a.png"] = lambda connection: connection.sendall(answer)
    with pytest.raises(ImageFetchError) as caught:
        source.load(f"{server.url}/a.png")
    assert "S3CRET" not in str(caught.value)


def test_a_closed_port_is_a_fetch_error(settings: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    source = ImageSource(settings(allowed_image_hosts=("127.0.0.1",)))
    with pytest.raises(ImageFetchError, match=r"connection to 127\.0\.0\.1 failed"):
        source.load(f"http://127.0.0.1:{port}/a.png")


@pytest.mark.parametrize(
    "reference",
    ["http://", "http:///a.png", "http://[::1", "http://x:99999/", "http://x:0/", "http://a\x00b/"],
)
def test_a_malformed_url_is_a_reference_error(reference: str, source: ImageSource) -> None:
    with pytest.raises(ImageReferenceError):
        source.load(reference)


def test_a_user_name_in_a_url_is_refused(source: ImageSource, server: Server) -> None:
    with pytest.raises(ImageRefusedError, match="user name") as caught:
        source.load(f"http://labeler:hunter2@{server.host}/a.png")
    assert "hunter2" not in str(caught.value)
    assert server.requests == []


def test_signatures_are_in_no_message_and_no_log_line(
    settings: Make, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ml_backend")
    source = ImageSource(settings(allowed_image_hosts=(server.host,)))
    server.replies["/web"] = Reply(headers={"Content-Type": "text/html"})
    server.replies["/text"] = Reply(body=b"text")
    server.replies["/away"] = Reply(302, headers={"Location": "http://10.0.0.1/?sig=S3CRET"})
    for path in ("missing", "web", "text", "away"):
        with pytest.raises((ImageFetchError, ImageDecodeError, ImageRefusedError)) as caught:
            source.load(f"{server.url}/{path}?X-Goog-Signature=S3CRET#S3CRET")
        assert "S3CRET" not in str(caught.value) + repr(caught.value)
    assert "S3CRET" not in caplog.text


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path, "images.example")


@pytest.fixture
def tls(certificate: Path) -> Iterator[Tls]:
    tls = Tls(certificate)
    yield tls
    tls.server.stop()


def test_tls_is_checked_against_the_name_though_the_number_is_connected_to(
    settings: Make, tls: Tls, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls.server.replies["/a.png"] = Reply(body=png())
    port = tls.server.port
    allowed = ("images.example", "other.example")
    source = ImageSource(settings(allowed_image_hosts=allowed), lambda *_: ["127.0.0.1"])
    assert source.load(f"https://images.example:{port}/a.png").pixels.shape == (4, 6, 3)
    assert tls.names == ["images.example"]
    assert tls.server.requests[0].headers["Host"] == f"images.example:{port}"
    with pytest.raises(ImageFetchError, match="CERTIFICATE_VERIFY_FAILED"):
        source.load(f"https://other.example:{port}/a.png")


def test_an_unknown_certificate_is_refused(settings: Make, tls: Tls) -> None:
    source = ImageSource(
        settings(allowed_image_hosts=("images.example",)), lambda *_: ["127.0.0.1"]
    )
    with pytest.raises(ImageFetchError, match="CERTIFICATE_VERIFY_FAILED"):
        source.load(f"https://images.example:{tls.server.port}/a.png")
