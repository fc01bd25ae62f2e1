"""What a signed address leaves behind: its content stays known when it is signed again."""

from collections.abc import Callable

import httpx
import pytest

from ml_backend.errors import ImageFetchError
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.images.signatures import without_signature
from tests.support.http_server import Reply, Request, Server
from tests.support.pictures import png

Make = Callable[..., ImageSettings]

SIGNED = [
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=k&X-Amz-Date=d&X-Amz-Signature=s",
    "X-Goog-Algorithm=GOOG4&X-Goog-Credential=k&X-Goog-Expires=60&X-Goog-Signature=s",
    "AWSAccessKeyId=k&Signature=s&Expires=1",
    "GoogleAccessId=k&Expires=1&Signature=s",
    "Policy=p&Signature=s&Key-Pair-Id=k",
    "sv=2024-11-04&st=a&se=b&sr=b&sp=r&sig=s",
    "x-oss-signature-version=OSS4&x-oss-signature=s",
]


@pytest.mark.parametrize("query", SIGNED)
def test_a_signature_is_removed_and_what_belongs_to_it(query: str) -> None:
    url = httpx.URL(f"https://h.example/a.png?{query}")
    assert str(without_signature(url)) == "https://h.example/a.png"
    kept = httpx.URL(f"https://h.example/a.png?versionId=7&{query}")
    assert str(without_signature(kept)) == "https://h.example/a.png?versionId=7"


@pytest.mark.parametrize("query", ["", "?id=1&Expires=2", "?sig=1", "?se=1&sp=2", "?signature=1"])
def test_other_queries_stay(query: str) -> None:
    url = f"https://h.example/a.png{query}"
    assert str(without_signature(httpx.URL(url))) == url


@pytest.fixture
def bucket(server: Server) -> Server:
    """Takes the signatures 1 and 2, and obeys ETags."""

    def answer(request: Request) -> Reply:
        if request.query.get("X-Amz-Signature") not in {"1", "2"}:
            return Reply(403)
        if request.headers.get("If-None-Match") == '"one"':
            return Reply(304)
        return Reply(body=png(), headers={"ETag": '"one"'})

    server.replies["/a.png"] = answer
    return server


@pytest.fixture
def source(settings: Make, bucket: Server) -> ImageSource:
    return ImageSource(settings(allowed_image_hosts=(bucket.host,)))


def signed(bucket: Server, signature: str) -> str:
    return f"{bucket.url}/a.png?X-Amz-Date=2026&X-Amz-Signature={signature}"


def test_an_address_that_is_signed_again_is_confirmed_and_not_fetched_again(
    source: ImageSource, bucket: Server
) -> None:
    first, again = (source.open(signed(bucket, signature)) for signature in "12")
    assert first.identity == again.identity
    assert [r.headers.get("If-None-Match") for r in bucket.requests] == [None, '"one"']
    assert source.identify(signed(bucket, "2")) == first.identity
    assert len(bucket.requests) == 2


def test_a_copy_is_only_for_those_whose_signature_is_right(
    source: ImageSource, bucket: Server
) -> None:
    source.load(signed(bucket, "1"))
    for wrong in (signed(bucket, "3"), f"{bucket.url}/a.png"):
        assert source.identify(wrong) is None
        with pytest.raises(ImageFetchError, match="HTTP 403"):
            source.load(wrong)


@pytest.mark.parametrize("etag", ['"two\r\nX: y"', "two", '"' + "x" * 300 + '"', '""', "é"])
def test_an_etag_that_is_none_is_not_kept(etag: str, settings: Make, server: Server) -> None:
    def answer(request: Request) -> Reply:
        assert "If-None-Match" not in request.headers
        return Reply(body=png(), headers={"ETag": etag.partition("\r")[0]})

    server.replies["/a.png"] = answer
    made = settings(allowed_image_hosts=(server.host,), image_cache_seconds=1e-9)
    source = ImageSource(made)
    for _ in range(2):
        assert source.load(f"{server.url}/a.png").pixels.shape == (4, 6, 3)


def test_a_server_that_confirms_what_nobody_asked_about_is_in_error(
    settings: Make, server: Server
) -> None:
    server.replies["/a.png"] = Reply(304)
    source = ImageSource(settings(allowed_image_hosts=(server.host,)))
    with pytest.raises(ImageFetchError, match="HTTP 304"):
        source.load(f"{server.url}/a.png")
