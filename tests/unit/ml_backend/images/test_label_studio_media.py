"""Label Studio's media, with both kinds of token, and where the tokens do not go."""

import base64
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from ml_backend.errors import (
    ImageError,
    ImageFetchError,
    ImageReferenceError,
    ImageRefusedError,
    SettingsError,
)
from ml_backend.images import ImageSettings, ImageSource
from tests.support.http_server import Listener, Reply, Request, Server
from tests.support.pictures import png

Make = Callable[..., ImageSettings]

LEGACY = "0123456789abcdef0123456789abcdef01234567"
PERSONAL = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"HS256"}', b'{"token_type":"refresh"}', b"signature")
)
UPLOAD = "/data/upload/1/1a2b-photo.png"


class LabelStudio:
    """Answers media to whoever shows a token, as Label Studio 1.23 does."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.accepted = {f"Token {LEGACY}"}
        self.exchanges = 0
        for path in (UPLOAD, "/data/local-files/", "/tasks/7/resolve/", "/ls" + UPLOAD):
            server.replies[path] = self.media
        server.replies["/api/token/refresh/"] = self.refresh

    def media(self, request: Request) -> Reply:
        if request.headers.get("Authorization") not in self.accepted:
            return Reply(401, b'{"detail":"Invalid token."}')
        return Reply(body=png())

    def refresh(self, request: Request) -> Reply:
        if json.loads(request.body) != {"refresh": PERSONAL}:
            return Reply(401)
        self.exchanges += 1
        access = f"access-{self.exchanges}"
        self.accepted = {f"Bearer {access}"}
        return Reply(body=json.dumps({"access": access}).encode())


@pytest.fixture
def label_studio(server: Server) -> LabelStudio:
    return LabelStudio(server)


@pytest.fixture
def with_key(settings: Make, server: Server) -> Callable[..., ImageSource]:
    def make(key: str | None = LEGACY, **changes: object) -> ImageSource:
        usual = {"label_studio_url": server.url, "image_cache_mb": 0}
        return ImageSource(settings(label_studio_api_key=key, **(usual | changes)))

    return make


With = Callable[..., ImageSource]


@pytest.mark.parametrize("key", [LEGACY, PERSONAL])
@pytest.mark.parametrize(
    "reference", [UPLOAD, "/data/local-files/?d=sub/a%20b.jpg", "/tasks/7/resolve/?fileuri=Z3M6"]
)
def test_media_are_fetched_with_either_token(
    key: str, reference: str, label_studio: LabelStudio, with_key: With
) -> None:
    assert with_key(key).load(reference).pixels.shape == (4, 6, 3)
    assert label_studio.server.paths[-1] == reference


def test_absolute_urls_of_label_studio_are_the_same(
    label_studio: LabelStudio, with_key: With
) -> None:
    server = label_studio.server
    for url in (server.url, f"HTTP://{server.host}", f"{server.url}/"):
        source = with_key(label_studio_url=url.lower())
        assert source.load(url.rstrip("/") + UPLOAD).pixels.shape == (4, 6, 3)


def test_label_studio_may_live_below_a_path(label_studio: LabelStudio, with_key: With) -> None:
    source = with_key(label_studio_url=f"{label_studio.server.url}/ls/")
    for reference in (UPLOAD, f"/ls{UPLOAD}", f"{label_studio.server.url}/ls{UPLOAD}"):
        assert source.load(reference).pixels.shape == (4, 6, 3)
    assert set(label_studio.server.paths) == {f"/ls{UPLOAD}"}


@pytest.mark.parametrize("key", [None, "", " ", "f" * 40, PERSONAL[:-1] + "x"])
def test_a_missing_or_wrong_token_is_named(
    key: str | None, label_studio: LabelStudio, with_key: With
) -> None:
    with pytest.raises(ImageFetchError) as caught:
        with_key(key).load(UPLOAD)
    assert "LABEL_STUDIO_API_KEY" in caught.value.hint
    assert not key or not key.strip() or key not in str(caught.value)


def test_an_access_token_is_shared_by_many_threads(
    label_studio: LabelStudio, with_key: With
) -> None:
    source = with_key(PERSONAL)
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(source.load, [UPLOAD] * 40))
    assert len(images) == 40
    assert label_studio.exchanges == 1


def test_an_access_token_is_renewed_before_it_expires(
    label_studio: LabelStudio, with_key: With, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    source = with_key(PERSONAL)
    for now, exchanges in ((1000.0, 1), (1200.0, 1), (1270.0, 2), (1280.0, 2)):  # noqa: B007
        source.load(UPLOAD)
        assert label_studio.exchanges == exchanges


def test_a_rejected_access_token_is_renewed_once_for_all(
    label_studio: LabelStudio, with_key: With
) -> None:
    source = with_key(PERSONAL)
    source.load(UPLOAD)
    label_studio.accepted = set()  # Label Studio was restarted with another key
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(source.load, [UPLOAD] * 16))) == 16
    assert label_studio.exchanges <= 1 + 8


def test_a_token_that_stays_rejected_is_not_renewed_for_ever(
    label_studio: LabelStudio, with_key: With
) -> None:
    label_studio.server.replies[UPLOAD] = Reply(401)
    with pytest.raises(ImageFetchError, match="HTTP 401") as caught:
        with_key(PERSONAL).load(UPLOAD)
    assert label_studio.exchanges == 2
    assert "LABEL_STUDIO_API_KEY" in caught.value.hint


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b"null", b'"x"', b"\xff"])
def test_a_refresh_that_answers_nonsense_is_a_fetch_error(
    body: bytes, label_studio: LabelStudio, with_key: With
) -> None:
    label_studio.server.replies["/api/token/refresh/"] = Reply(body=body)
    with pytest.raises(ImageFetchError, match="token refresh"):
        with_key(PERSONAL).load(UPLOAD)


def test_threads_that_wait_for_a_slow_refresh_keep_their_deadline(
    label_studio: LabelStudio, with_key: With
) -> None:
    server = label_studio.server
    asked, go_on = threading.Event(), threading.Event()

    def hang(request: Request) -> Reply:
        asked.set()
        assert go_on.wait(60)
        return Reply(503)

    server.replies["/api/token/refresh/"] = hang
    source = with_key(PERSONAL, image_seconds=60, read_seconds=60)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(source.load, UPLOAD)
        assert asked.wait(60)
        with pytest.raises(ImageFetchError, match="too long to renew"):
            source.load(UPLOAD, 1)
        assert not first.done()
        go_on.set()
        assert isinstance(first.exception(60), ImageFetchError)


def test_the_token_stays_behind_when_label_studio_redirects_to_a_bucket(
    label_studio: LabelStudio, with_key: With, other_server: Server
) -> None:
    target = f"{other_server.url}/bucket/photo.png?X-Goog-Signature=abc"
    label_studio.server.replies["/tasks/7/presign/"] = Reply(303, headers={"Location": target})
    other_server.replies["/bucket/photo.png"] = Reply(body=png())
    source = with_key(allowed_image_hosts=(other_server.host,))
    assert source.load("/tasks/7/presign/?fileuri=Z3M6").pixels.shape == (4, 6, 3)
    assert "Authorization" in label_studio.server.requests[0].headers
    assert "Authorization" not in other_server.requests[0].headers


def test_a_bucket_on_a_private_address_must_be_allowed(
    label_studio: LabelStudio, with_key: With, other_server: Server
) -> None:
    label_studio.server.replies["/tasks/7/presign/"] = Reply(
        303, headers={"Location": f"{other_server.url}/photo.png"}
    )
    with pytest.raises(ImageRefusedError, match=f"add {other_server.host}|not a public"):
        with_key().load("/tasks/7/presign/?fileuri=Z3M6")
    assert other_server.requests == []


@pytest.mark.parametrize("page", ["/user/login/?next=x", "/api/users/", "/data/upload/../../api"])
def test_the_token_does_not_follow_to_other_pages_of_label_studio(
    page: str, label_studio: LabelStudio, with_key: With
) -> None:
    label_studio.server.replies[UPLOAD] = Reply(302, headers={"Location": page})
    with pytest.raises(ImageFetchError, match="redirects from the image to its page"):
        with_key().load(UPLOAD)
    assert label_studio.server.paths == [UPLOAD]


@pytest.mark.parametrize(
    "reference",
    [
        "{url}/api/users/",
        "{url}/user/login/",
        "{url}/data/avatars/1.png",
        "{url}/data/upload/",
        "{url}/data/upload/../../api/users/",
        "{url}/tasks/7/",
        "{url}.evil.example" + UPLOAD,
        "http://evil.example/{url}" + UPLOAD,
        "http://127.0.0.1:{other}" + UPLOAD,
        "https://127.0.0.1:{port}" + UPLOAD,
        "http://{host}@evil.example" + UPLOAD,
        "http://evil.example#@{host}" + UPLOAD,
        "http://evil.example\\@{host}" + UPLOAD,
        "//{host}" + UPLOAD,
        "/api/users/",
        "/data/upload/../../api/users/",
        "/data/upload/%2e%2e/%2e%2e/api/users/",
        "/data/upload/..%2f..%2fapi/users/",
        "/data/upload/%252e%252e%252fapi",
        "/data/upload/x/..%5c..%5capi",
        "/data/upload/%2e%2E/x",
        "/../data/upload/../api/",
    ],
)
def test_no_other_place_is_asked_with_or_without_the_token(
    reference: str, label_studio: LabelStudio, with_key: With, listener: Listener
) -> None:
    server = label_studio.server
    reference = reference.format(
        url=server.url, host=server.host, port=server.port, other=listener.port
    )
    source = ImageSource(
        with_key()._settings,
        lambda host, port: ["127.0.0.1"],  # whatever the name
    )
    with pytest.raises((ImageRefusedError, ImageReferenceError)):
        source.load(reference)
    # Label Studio may be asked for its own address: on the page that everybody may see.
    assert set(server.paths) <= {"/user/login/"}
    assert not any("Authorization" in request.headers for request in server.requests)
    assert not listener.was_reached()


def test_a_redirect_from_elsewhere_into_label_studio_carries_no_token(
    label_studio: LabelStudio, with_key: With, other_server: Server
) -> None:
    other_server.replies["/a.png"] = Reply(
        302, headers={"Location": label_studio.server.url + UPLOAD}
    )
    source = with_key(allowed_image_hosts=("127.0.0.1",))
    with pytest.raises(ImageFetchError, match="401"):
        source.load(f"{other_server.url}/a.png")
    assert "Authorization" not in label_studio.server.requests[0].headers


def test_a_web_page_in_place_of_the_image_is_said_to_be_one(
    label_studio: LabelStudio, with_key: With
) -> None:
    label_studio.server.replies[UPLOAD] = Reply(
        body=b"<!doctype html>", headers={"Content-Type": "text/html"}
    )
    with pytest.raises(ImageFetchError, match="web page instead of an image"):
        with_key().load(UPLOAD)


def test_a_redirect_to_another_port_of_the_host_says_to_correct_the_address(
    label_studio: LabelStudio, with_key: With, other_server: Server
) -> None:
    other_server.replies[UPLOAD] = Reply(401)
    target = {"Location": f"http://127.0.0.1:{other_server.port}{UPLOAD}"}
    label_studio.server.replies[UPLOAD] = Reply(301, headers=target)
    with pytest.raises(ImageFetchError, match="401") as caught:
        with_key(allowed_image_hosts=(other_server.host,)).load(UPLOAD)
    assert "LABEL_STUDIO_URL" in caught.value.hint


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_sick_label_studio_is_a_fetch_error_and_recovers(
    status: int, label_studio: LabelStudio, with_key: With
) -> None:
    source = with_key()
    label_studio.server.replies[UPLOAD] = Reply(status)
    with pytest.raises(ImageFetchError, match=str(status)):
        source.load(UPLOAD)
    label_studio.server.replies[UPLOAD] = label_studio.media
    assert source.load(UPLOAD).pixels.shape == (4, 6, 3)


def test_an_upload_without_an_address_of_label_studio_says_what_to_set(settings: Make) -> None:
    with pytest.raises(ImageReferenceError) as caught:
        ImageSource(settings()).load(UPLOAD)
    assert "LABEL_STUDIO_URL" in caught.value.hint


@pytest.mark.parametrize("status", [403, 404])
def test_a_local_file_that_label_studio_does_not_serve_says_what_to_set(
    status: int, label_studio: LabelStudio, with_key: With
) -> None:
    label_studio.server.replies["/data/local-files/"] = Reply(status)
    with pytest.raises(ImageFetchError, match=f"HTTP {status}") as caught:
        with_key().load("/data/local-files/?d=a.png")
    assert "LOCAL_FILES_SERVING_ENABLED" in caught.value.hint
    assert "LABEL_STUDIO_API_KEY" not in caught.value.hint


def test_tokens_are_in_no_message_log_line_or_repr(
    label_studio: LabelStudio,
    with_key: With,
    settings: Make,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [repr(settings(label_studio_api_key=LEGACY))]
    for key in (LEGACY, PERSONAL):
        source = with_key(key)
        shown.append(repr(source) + repr(vars(source)))
        for status in (200, 401, 403, 500):
            label_studio.server.replies[UPLOAD] = Reply(status, b"text")
            with pytest.raises(ImageError) as caught:
                source.load(UPLOAD)
            shown.append(str(caught.value) + repr(caught.value))
    text = "".join(shown) + caplog.text
    assert not any(secret in text for secret in (LEGACY, PERSONAL, "access-"))


@pytest.mark.parametrize("key", ["abc def", "abc\ndef", "abc\r\nX: y", "clé"])
def test_a_key_that_is_no_token_stops_the_program(key: str, settings: Make) -> None:
    with pytest.raises(SettingsError, match="LABEL_STUDIO_API_KEY") as caught:
        settings(label_studio_api_key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", "http://u:hunter2@x"])
def test_an_address_that_is_none_stops_the_program(url: str, settings: Make) -> None:
    with pytest.raises(SettingsError, match="LABEL_STUDIO_URL") as caught:
        settings(label_studio_url=url)
    assert "hunter2" not in str(caught.value)


def test_a_value_of_the_wrong_type_is_not_shown(settings: Make) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(label_studio_api_key=["S3CRET"])
    assert "S3CRET" not in str(caught.value)
