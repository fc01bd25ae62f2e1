"""gs:// references with the real google-cloud-storage, against an emulator and against trouble."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google.auth.jwt
import pytest
from gcp_storage_emulator.server import create_server  # type: ignore[import-untyped]
from google.cloud import storage  # type: ignore[import-untyped]
from google.oauth2.service_account import Credentials
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import (
    CredentialsError,
    ImageDecodeError,
    ImageFetchError,
    ImageReferenceError,
)
from ml_backend.images import NO_TASK, ImageSettings, ImageSource
from ml_backend.images.gcs import CloudStorage
from ml_backend.images.settings import MIB
from tests.support.http_server import Reply, Request, Server
from tests.support.pictures import png
from tests.unit.ml_backend.images.test_credentials import KEY, encoded

Make = Callable[..., ImageSettings]

OBJECT = "/download/storage/v1/b/photos/o/a.png"
REFERENCE = "gs://photos/a.png"


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[storage.Client]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    with create_server("127.0.0.1", port, in_memory=True, default_bucket="photos"):
        yield storage.Client(project="test")


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A bucket in trouble: tests say what it answers."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    return server


@pytest.fixture
def source(settings: Make) -> ImageSource:
    return ImageSource(settings(image_cache_mb=0))


@pytest.mark.parametrize(
    "name",
    ["a.png", "sub/name with spaces.jpg", "x?y#z", "100%.png", "a%20b", "ü/日本.png", "a//b"],
)
def test_objects_of_any_name_are_read(
    name: str, emulator: storage.Client, source: ImageSource
) -> None:
    emulator.bucket("photos").blob(name).upload_from_string(png())
    assert source.load(f"gs://photos/{name}").pixels.shape == (4, 6, 3)


def test_a_missing_object_or_bucket_is_named(emulator: storage.Client, source: ImageSource) -> None:
    for reference in ("gs://photos/missing.png", "gs://no-such-bucket/a.png"):
        with pytest.raises(ImageFetchError, match=f"{reference}: HTTP 404") as caught:
            source.load(reference)
        assert "names of bucket and object" in caught.value.hint


def test_a_large_object_is_not_read_whole(emulator: storage.Client, settings: Make) -> None:
    emulator.bucket("photos").blob("a.png").upload_from_string(bytes(10**6))
    source = ImageSource(settings(max_image_mb=10**5 / MIB))
    with pytest.raises(ImageDecodeError, match=r"more than 0\.1 MB"):
        source.load(REFERENCE)


@pytest.mark.parametrize(
    "reference",
    [
        "gs://",
        "gs://photos",
        "gs://photos/",
        "gs:///a.png",
        "gs://Ph otos/a",
        "gs://../a",
        "gs://a/b",
    ],
)
def test_a_reference_without_bucket_or_object_is_malformed(
    reference: str, source: ImageSource
) -> None:
    with pytest.raises(ImageReferenceError, match="names no object"):
        source.load(reference)


@given(st.text())
def test_any_gs_reference_names_an_object_or_is_malformed(rest: str) -> None:
    source = CloudStorage(ImageSettings(image_cache_dir=Path("unused")))
    try:
        location = source.locate(f"gs://{rest}", NO_TASK)
    except ImageReferenceError:
        return
    assert location is not None
    assert location.key == f"gs://{rest}"


@pytest.mark.parametrize(
    ("status", "hint"), [(403, "Storage Object Viewer"), (404, "names of bucket and object")]
)
def test_a_refusal_is_final_and_says_what_to_do(
    status: int, hint: str, bucket: Server, source: ImageSource
) -> None:
    bucket.replies[OBJECT] = Reply(status, b"the reason")
    with pytest.raises(ImageFetchError, match=f"{REFERENCE}: HTTP {status}") as caught:
        source.load(REFERENCE)
    assert hint in caught.value.hint
    assert bucket.paths.count(f"{OBJECT}?alt=media") == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_trouble_is_tried_again_for_a_bounded_time(
    status: int, bucket: Server, source: ImageSource
) -> None:
    bucket.replies[OBJECT] = Reply(status)
    started = time.monotonic()
    with pytest.raises(ImageFetchError, match=f"HTTP {status}") as caught:
        source.load(REFERENCE)
    assert "later" in caught.value.hint
    assert time.monotonic() - started < 4


def test_passing_trouble_is_not_noticed(bucket: Server, settings: Make) -> None:
    def second_time_lucky(request: Request) -> Reply:
        first = bucket.paths.count(f"{OBJECT}?alt=media") == 1
        return Reply(503) if first else Reply(body=png())

    bucket.replies[OBJECT] = second_time_lucky
    source = ImageSource(settings(retry_seconds=30, image_seconds=30))
    assert source.load(REFERENCE).pixels.shape == (4, 6, 3)


def test_a_bucket_that_hangs_is_left(bucket: Server, settings: Make) -> None:
    bucket.raw[OBJECT] = bucket.hang
    source = ImageSource(settings(read_seconds=0.2, retry_seconds=0.3))
    started = time.monotonic()
    with pytest.raises(ImageFetchError, match="Timeout"):
        source.load(REFERENCE)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("size", [1, 0x2000])
def test_a_bucket_that_drips_is_left_at_the_deadline(
    size: int, bucket: Server, source: ImageSource
) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not bucket.stopping.wait(0.02):
            connection.sendall(f"{size:x}\r\n".encode() + b"x" * size + b"\r\n")

    bucket.raw[OBJECT] = drip
    with pytest.raises(ImageFetchError, match="did not arrive within"):
        source.load(REFERENCE, timeout=0.4)


def test_an_object_cut_off_in_the_middle_is_a_fetch_error(
    bucket: Server, source: ImageSource
) -> None:
    bucket.raw[OBJECT] = lambda connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + png()[:50]
    )
    with pytest.raises(ImageFetchError, match=REFERENCE):
        source.load(REFERENCE)


def test_a_damaged_object_is_a_fetch_error(bucket: Server, source: ImageSource) -> None:
    headers = {"X-Goog-Hash": "crc32c=AAAAAA==,md5=" + base64.b64encode(bytes(16)).decode()}
    bucket.replies[OBJECT] = Reply(body=png(), headers=headers)
    with pytest.raises(ImageFetchError, match="DataCorruption"):
        source.load(REFERENCE)


class TokenEndpoint:
    """Gives access tokens for assertions that the service account has signed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.asked = 0
        server.replies["/token"] = self.answer
        server.replies[OBJECT] = self.media
        self.key = {**KEY, "token_uri": f"{server.url}/token"}

    def answer(self, request: Request) -> Reply:
        self.asked += 1
        assertion = dict(pair.split("=") for pair in request.body.decode().split("&"))["assertion"]
        claims = google.auth.jwt.decode(assertion, verify=False)
        assert claims["iss"] == KEY["client_email"]
        assert claims["scope"] == "https://www.googleapis.com/auth/devstorage.read_only"
        token = {"access_token": "s3cret-access", "expires_in": 3600, "token_type": "Bearer"}
        return Reply(body=json.dumps(token).encode(), headers={"Content-Type": "application/json"})

    def media(self, request: Request) -> Reply:
        allowed = request.headers.get("Authorization") == "Bearer s3cret-access"
        return Reply(body=png()) if allowed else Reply(401)


@pytest.fixture
def endpoint(bucket: Server, monkeypatch: pytest.MonkeyPatch) -> TokenEndpoint:
    # google-auth would also ask iamcredentials.googleapis.com, in the background
    monkeypatch.setattr(
        Credentials, "_is_regional_access_boundary_lookup_required", lambda _: False
    )
    return TokenEndpoint(bucket)


def test_one_access_token_of_the_service_account_serves_many_threads(
    endpoint: TokenEndpoint, settings: Make
) -> None:
    source = ImageSource(
        settings(google_application_credentials_base64=encoded(endpoint.key), image_cache_mb=0)
    )
    first = source.load(REFERENCE)
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(source.load, [REFERENCE] * 32))
    assert {image.digest for image in images} == {first.digest}
    assert endpoint.asked <= 2  # the library looks up the bucket in the background, too


def test_credentials_that_are_not_accepted_are_named(
    endpoint: TokenEndpoint, settings: Make
) -> None:
    endpoint.server.replies[OBJECT] = Reply(401)
    with pytest.raises(ImageFetchError, match="HTTP 401") as caught:
        ImageSource(settings(google_application_credentials_base64=encoded(endpoint.key))).load(
            REFERENCE
        )
    assert "GOOGLE_APPLICATION_CREDENTIALS_BASE64" in caught.value.hint


def test_a_disabled_service_account_is_named_and_nothing_shown(
    endpoint: TokenEndpoint, settings: Make
) -> None:
    body = json.dumps({"error": "invalid_grant", "error_description": "s3cret"}).encode()
    headers = {"Content-Type": "application/json"}
    endpoint.server.replies["/token"] = Reply(400, body, headers)
    source = ImageSource(settings(google_application_credentials_base64=encoded(endpoint.key)))
    with pytest.raises(ImageFetchError, match="Google refused the service account") as caught:
        source.load(REFERENCE)
    assert "GOOGLE_APPLICATION_CREDENTIALS_BASE64" in caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_a_token_endpoint_that_hangs_is_left(endpoint: TokenEndpoint, settings: Make) -> None:
    endpoint.server.raw["/token"] = endpoint.server.hang
    source = ImageSource(
        settings(
            google_application_credentials_base64=encoded(endpoint.key),
            read_seconds=0.2,
            retry_seconds=0.3,
        )
    )
    started = time.monotonic()
    with pytest.raises(ImageFetchError, match=REFERENCE):
        source.load(REFERENCE)
    assert time.monotonic() - started < 5


def test_without_any_credentials_the_variable_is_named(
    settings: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    with pytest.raises(ImageFetchError, match="no Google credentials") as caught:
        ImageSource(settings()).load(REFERENCE)
    assert "GOOGLE_APPLICATION_CREDENTIALS_BASE64" in caught.value.hint


def test_a_bucket_whose_requester_pays_is_billed_to_the_project_that_is_named(
    bucket: Server, settings: Make
) -> None:
    def bill(request: Request) -> Reply:
        paid = request.query.get("userProject") == "payer"
        return Reply(body=png()) if paid else Reply(400, b"Bucket is a requester pays bucket")

    bucket.replies[OBJECT] = bill
    with pytest.raises(ImageFetchError, match="HTTP 400") as caught:
        ImageSource(settings()).load(REFERENCE)
    assert "GCS_BILLING_PROJECT" in caught.value.hint
    source = ImageSource(settings(gcs_billing_project="payer"))
    assert source.load(REFERENCE).pixels.shape == (4, 6, 3)


def test_each_bucket_is_read_with_its_own_service_account(
    bucket: Server, settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = {"photos": "one@x", "my-other.photos": "two@x", "": "all@x"}
    for name, email in accounts.items():
        suffix = f"_{name.upper().replace('-', '_').replace('.', '_')}" if name else ""
        line = encoded(KEY | {"client_email": email, "token_uri": f"{bucket.url}/{email}"})
        monkeypatch.setenv(f"GOOGLE_APPLICATION_CREDENTIALS_BASE64{suffix}", line)
        token = {"access_token": email, "expires_in": 3600, "token_type": "Bearer"}
        bucket.replies[f"/{email}"] = Reply(body=json.dumps(token).encode())
    own = encoded(KEY | {"client_email": "all@x", "token_uri": f"{bucket.url}/all@x"})
    source = ImageSource(settings(google_application_credentials_base64=own))
    for name in ("photos", "my-other.photos", "third"):
        path = f"/download/storage/v1/b/{name}/o/a.png"
        bucket.replies[path] = Reply(body=png())
        source.load(f"gs://{name}/a.png")
        (asked,) = (request for request in bucket.requests if request.route == path)
        email = accounts.get(name, accounts[""])
        assert asked.headers["Authorization"] == f"Bearer {email}"


def test_a_key_of_one_bucket_that_is_none_stops_the_program(
    settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS_BASE64_PHOTOS", "hunter2")
    with pytest.raises(CredentialsError) as caught:
        settings()
    assert "hunter2" not in str(caught.value)
