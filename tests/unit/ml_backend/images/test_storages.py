"""Objects of storages that Label Studio alone can read: it is asked, and signs an address."""

import base64
from collections.abc import Callable

import pytest

from ml_backend.errors import ImageFetchError, ImageReferenceError, ImageRefusedError
from ml_backend.images import ImageSettings, ImageSource, TaskAccess
from tests.support.http_server import Listener, Reply, Request, Server
from tests.support.pictures import png

Make = Callable[..., ImageSettings]

TOKEN = "0123456789abcdef0123456789abcdef01234567"
REFERENCES = [
    "s3://photos/a b.png",
    "azure-blob://photos/ü.png",
    "S3://photos/a.png",
    "x+y-1.z://a",
]
TASK = TaskAccess(task=17, project=3)
PRESIGN = "/tasks/17/presign/"


class Bucket:
    """A storage: signed addresses lead to its one object; ETags are obeyed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.content, self.etag = png(), '"v1"'
        server.replies["/photos/object"] = self._object

    def _object(self, request: Request) -> Reply:
        if "X-Amz-Signature" not in request.query:
            return Reply(403)
        if request.headers.get("If-None-Match") == self.etag:
            return Reply(304, headers={"ETag": self.etag})
        return Reply(body=self.content, headers={"ETag": self.etag})


@pytest.fixture
def bucket(other_server: Server) -> Bucket:
    return Bucket(other_server)


@pytest.fixture
def label_studio(server: Server, bucket: Bucket) -> Server:
    """Signs an address of the bucket, another each time, for who shows the token."""

    def presign(request: Request) -> Reply:
        if request.headers.get("Authorization") != f"Token {TOKEN}":
            return Reply(401)
        signature = len(server.requests)
        target = f"{bucket.server.url}/photos/object?X-Amz-Signature={signature}"
        return Reply(303, headers={"Location": target})

    server.replies[PRESIGN] = presign
    return server


@pytest.fixture
def make(settings: Make, label_studio: Server, bucket: Bucket) -> Callable[..., ImageSource]:
    def make(**changes: object) -> ImageSource:
        usual = {
            "label_studio_url": label_studio.url,
            "label_studio_api_key": TOKEN,
            "allowed_image_hosts": (bucket.server.host,),
        }
        return ImageSource(settings(**(usual | changes)))

    return make


Source = Callable[..., ImageSource]


@pytest.mark.parametrize("reference", REFERENCES)
def test_label_studio_signs_an_address_that_is_fetched_without_the_token(
    reference: str, make: Source, label_studio: Server, bucket: Bucket
) -> None:
    assert make().load(reference, access=TASK).pixels.shape == (4, 6, 3)
    (asked,) = label_studio.requests
    assert asked.route == PRESIGN
    assert base64.urlsafe_b64decode(asked.query["fileuri"]).decode() == reference
    (fetched,) = bucket.server.requests
    assert "Authorization" not in fetched.headers


def test_an_object_that_has_not_changed_is_not_fetched_a_second_time(
    make: Source, bucket: Bucket
) -> None:
    source = make(image_cache_seconds=1e-9)
    before = source.open(REFERENCES[0], access=TASK)
    bucket.content = b"must not be sent"
    assert source.open(REFERENCES[0], access=TASK).identity == before.identity
    bucket.content, bucket.etag = png(1), '"v2"'
    assert source.open(REFERENCES[0], access=TASK).identity != before.identity
    conditions = [r.headers.get("If-None-Match") for r in bucket.server.requests]
    assert conditions == [None, '"v1"', '"v1"']


def test_a_copy_saves_all_requests_for_a_while(make: Source, label_studio: Server) -> None:
    source = make()
    before = source.open(REFERENCES[0], access=TASK)
    assert source.identify(REFERENCES[0], TASK) == before.identity
    assert source.open(REFERENCES[0], access=TaskAccess(99, project=3)).identity == before.identity
    assert len(label_studio.requests) == 1


def test_what_one_project_may_see_is_no_copy_for_another(
    make: Source, label_studio: Server
) -> None:
    source = make()
    source.load(REFERENCES[0], access=TASK)
    label_studio.replies["/tasks/5/presign/"] = Reply(404)
    other = TaskAccess(task=5, project=4)
    assert source.identify(REFERENCES[0], other) is None
    with pytest.raises(ImageFetchError, match="no storage with s3://photos"):
        source.load(REFERENCES[0], access=other)


def test_gs_is_asked_of_label_studio_where_there_are_no_credentials_of_our_own(
    make: Source, label_studio: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    assert make().load("gs://photos/a.png", access=TASK).pixels.shape == (4, 6, 3)
    label_studio.replies[PRESIGN] = Reply(404)
    with pytest.raises(ImageFetchError, match="no Google credentials; Label Studio has no storage"):
        make().load("gs://photos/b.png", access=TASK)
    with pytest.raises(ImageFetchError, match=r"no Google credentials \("):
        make().load("gs://photos/b.png")


@pytest.mark.parametrize(
    ("status", "text", "hint"),
    [
        (404, "no storage with s3://photos", "source cloud storage"),
        (401, "HTTP 401", "LABEL_STUDIO_API_KEY"),
        (403, "HTTP 403", "LABEL_STUDIO_API_KEY"),
    ],
)
def test_what_label_studio_refuses_has_its_reason_and_the_way_out(
    status: int, text: str, hint: str, make: Source, label_studio: Server
) -> None:
    label_studio.replies[PRESIGN] = Reply(status)
    with pytest.raises(ImageFetchError, match=text) as caught:
        make().load(REFERENCES[0], access=TASK)
    assert hint in caught.value.hint


def test_an_object_that_is_gone_is_said_by_the_bucket(make: Source, bucket: Bucket) -> None:
    bucket.server.replies["/photos/object"] = Reply(404)
    with pytest.raises(ImageFetchError, match=r"127\.0\.0\.1 answered HTTP 404"):
        make().load(REFERENCES[0], access=TASK)


@pytest.mark.parametrize(
    ("changes", "access"), [({"label_studio_url": None}, TASK), ({}, TaskAccess())]
)
def test_without_label_studio_or_a_task_the_way_out_is_named(
    changes: dict[str, object], access: TaskAccess, make: Source
) -> None:
    with pytest.raises(ImageReferenceError, match="storage that Label Studio can read") as caught:
        make(**changes).load(REFERENCES[0], access=access)
    assert "LABEL_STUDIO_URL" in caught.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "metadata.google.internal"])
def test_a_signed_address_of_a_private_place_is_refused(
    host: str, make: Source, label_studio: Server, listener: Listener, settings: Make
) -> None:
    target = f"http://{host}:{listener.port}/photos/object?X-Amz-Signature=1"
    label_studio.replies[PRESIGN] = Reply(303, headers={"Location": target})
    made = settings(label_studio_url=label_studio.url, label_studio_api_key=TOKEN)
    source = ImageSource(made, lambda name, _: ["127.0.0.1" if name != "::1" else name])
    with pytest.raises(ImageRefusedError, match="not a public address"):
        source.load(REFERENCES[0], access=TASK)
    assert not listener.was_reached()


@pytest.mark.parametrize("page", ["/api/users/", "/user/login/?next=x"])
def test_the_token_follows_to_no_page_of_label_studio(
    page: str, make: Source, label_studio: Server
) -> None:
    label_studio.replies[PRESIGN] = Reply(302, headers={"Location": page})
    with pytest.raises(ImageFetchError, match="redirects from the image to its page"):
        make().load(REFERENCES[0], access=TASK)
    assert len(label_studio.requests) == 1
