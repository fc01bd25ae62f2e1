"""From a reference to pixels, with the cache in between."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import ImageDecodeError, ImageError, ImageFetchError, ImageReferenceError
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.images.settings import MIB
from tests.support.http_server import Reply, Server
from tests.support.pictures import png

Make = Callable[..., ImageSettings]
UPLOAD = "/data/upload/1/a.png"


@pytest.fixture
def make(settings: Make, server: Server) -> Callable[..., ImageSource]:
    def make(**changes: Any) -> ImageSource:
        usual = {"label_studio_url": server.url, "allowed_image_hosts": ("images.example",)}
        return ImageSource(settings(**(usual | changes)), lambda *_: ["127.0.0.1"])

    return make


@pytest.fixture
def web(server: Server) -> str:
    """A URL of the server that is not Label Studio's."""
    server.replies["/a.png"] = server.replies[UPLOAD] = Reply(body=png())
    return f"http://images.example:{server.port}/a.png"


Source = Callable[..., ImageSource]


def test_an_image_is_fetched_once(make: Source, web: str, server: Server) -> None:
    for reference in (web, UPLOAD):
        server.requests.clear()
        images = [make().load(reference) for _ in range(3)]
        assert len(server.requests) == 1
        assert {image.digest for image in images} == {hashlib.sha256(png()).hexdigest()}


def test_an_upload_is_kept_for_ever_and_a_web_image_for_a_while(
    make: Source, web: str, server: Server
) -> None:
    source = make(image_cache_seconds=0)
    for reference, requests in ((web, 2), (UPLOAD, 1)):
        server.requests.clear()
        source.load(reference)
        source.load(reference)
        assert len(server.requests) == requests


def test_an_upload_is_the_same_image_at_every_address_of_label_studio(make: Source) -> None:
    bases = ("http://localhost:8080", "http://127.0.0.1:8080/", "http://label-studio:8080/ls")
    known = [make(label_studio_url=base).identify(UPLOAD) for base in bases]
    known.append(make(label_studio_url=bases[0]).identify(bases[0] + UPLOAD))
    assert len(set(known)) == 1
    others = {make(label_studio_url=bases[0]).identify(f"{UPLOAD}{n}") for n in range(3)}
    assert len(others | {known[0], None}) == 5


def test_a_name_with_a_hash_stands_for_the_content_unless_a_query_may_change_it(
    make: Source, web: str, server: Server
) -> None:
    named = web.replace("a.png", "0123456789abcdef" * 4 + ".png")
    path = "/" + named.rpartition("/")[2]
    for query in ("", "?sig=1", "?sig=2"):
        server.replies[path + query] = Reply(body=png())
    source = make()
    assert source.open(named).identity != source.open(web).identity
    signed = {source.open(f"{named}?sig={number}").identity for number in (1, 2)}
    assert signed == {source.open(web).identity}


def test_a_changed_image_is_noticed_after_a_while(make: Source, web: str, server: Server) -> None:
    before = make().load(web)
    server.replies["/a.png"] = Reply(body=png(seed=1))
    assert make().load(web).digest == before.digest
    assert make(image_cache_seconds=1e-9).load(web).digest != before.digest


def test_the_same_path_of_another_label_studio_is_another_image(
    make: Source, web: str, other_server: Server
) -> None:
    other_server.replies[UPLOAD] = Reply(body=png(seed=1))
    here, there = make(), make(label_studio_url=other_server.url)
    assert here.load(UPLOAD).digest != there.load(UPLOAD).digest


def test_signed_urls_are_not_mixed_up(make: Source, server: Server) -> None:
    server.replies["/a.png"] = lambda request: Reply(body=png(seed=len(request.path)))
    url = f"http://images.example:{server.port}/a.png"
    source = make()
    assert source.load(f"{url}?id=1").digest != source.load(f"{url}?id=10").digest


def test_what_cannot_be_decoded_is_asked_for_again(make: Source, web: str, server: Server) -> None:
    source = make()
    for body in (b"", b"text", png()[:-30]):
        server.replies[UPLOAD] = Reply(body=body)
        with pytest.raises(ImageDecodeError):
            source.load(UPLOAD)
    server.replies[UPLOAD] = Reply(body=png())
    assert source.load(UPLOAD).pixels.shape == (4, 6, 3)


def test_errors_are_not_kept(make: Source, web: str, server: Server) -> None:
    source = make()
    server.replies[UPLOAD] = Reply(500)
    with pytest.raises(ImageFetchError):
        source.load(UPLOAD)
    server.replies[UPLOAD] = Reply(body=png())
    assert source.load(UPLOAD).pixels.shape == (4, 6, 3)


def test_a_damaged_copy_is_fetched_anew(
    make: Source, web: str, server: Server, tmp_path: Path
) -> None:
    first = make().load(UPLOAD)
    for damage in (b"", b"garbage" * 100):
        for path in (tmp_path / "cache").iterdir():
            path.write_bytes(damage)
        assert make().load(UPLOAD).digest == first.digest


def test_many_threads_get_their_own_images(make: Source, server: Server) -> None:
    for seed in range(20):
        server.replies[f"/data/upload/1/{seed}.png"] = Reply(body=png(seed))
    source = make(image_cache_mb=2000 / MIB)
    seeds = [(7 * n) % 20 for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(source.load, [f"/data/upload/1/{seed}.png" for seed in seeds]))
    expected = [hashlib.sha256(png(seed)).hexdigest() for seed in seeds]
    assert [image.digest for image in images] == expected


@pytest.mark.parametrize("reference", [None, 5, 1.5, True, [], {}, ["a.png"], "", "  ", b"a.png"])
def test_what_is_not_text_is_a_reference_error(reference: Any, make: Source) -> None:
    with pytest.raises(ImageReferenceError, match="holds no image reference"):
        make().load(reference)


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("s3://bucket/a.png", "LABEL_STUDIO_API_KEY"),
        ("azure-blob://container/a.png", "LABEL_STUDIO_API_KEY"),
        ("ftp://host/a.png", "https"),
        ("file:///etc/passwd", "local files storage"),
        ("javascript:alert(1)", "upload to Label Studio"),
        ("a.png", "upload to Label Studio"),
        ("../../etc/passwd", "upload to Label Studio"),
        ("C:\\photos\\a.png", "upload to Label Studio"),
        ("//host/a.png", "upload to Label Studio"),
        ("/etc/passwd", "/data/upload/"),
    ],
)
def test_other_references_say_what_to_use_instead(reference: str, hint: str, make: Source) -> None:
    with pytest.raises(ImageReferenceError) as caught:
        make().load(reference)
    assert hint in caught.value.hint


def test_an_endless_reference_is_refused(make: Source) -> None:
    for reference in ("http://h.example/" + "%25" * 10**6, "gs://b/" + "a" * 10**6, "x" * 10**6):
        with pytest.raises(ImageReferenceError, match="characters"):
            make().load(reference)


def test_text_that_is_no_text_is_refused(make: Source) -> None:
    for reference in ("http://h.example/\ud800", "gs://bucket/\udfff", "/data/upload/\ud800"):
        with pytest.raises(ImageReferenceError, match="not valid text"):
            make().load(reference)


STARTS = ["", "/", "//", "/data/upload/", "/data/local-files/?d=", "data:image/png,"]
URL_STARTS = ["http://", "https://h.example/", "HTTP://[", "http://h.example:", "http://a@"]


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> ImageSource:
    def nowhere(host: str, port: int) -> list[str]:
        raise OSError

    folder = tmp_path_factory.mktemp("offline")
    usual = ImageSettings(
        label_studio_url="http://ls.example",
        local_files_document_root=folder / "none",
        image_cache_dir=folder / "cache",
    )
    return ImageSource(usual, nowhere)


@given(start=st.sampled_from(STARTS + URL_STARTS), rest=st.text(max_size=50))
def test_any_reference_is_answered_with_an_image_error(
    offline: ImageSource, start: str, rest: str
) -> None:
    with pytest.raises(ImageError):
        offline.load(start + rest)
