"""One Label Studio under several addresses: every one leads to the inner address."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ml_backend.errors import ImageError, ImageReferenceError, ImageRefusedError, SettingsError
from ml_backend.images import ImageSettings, ImageSource
from tests.support.http_server import Reply, Request, Server
from tests.support.pictures import png

Make = Callable[..., ImageSettings]

TOKEN = "0123456789abcdef0123456789abcdef01234567"
UPLOAD = "/data/upload/4/x.png"
STORED = "/storage-data/uploaded/?filepath=upload/4/x.png"
LOCAL = "/data/local-files/?d=sub/a%20b.png"
PUBLIC = "https://labels.example.org"


@pytest.fixture
def label_studio(server: Server) -> Server:
    """Media for whoever shows the token; everything else is open."""

    def media(request: Request) -> Reply:
        shown = request.headers.get("Authorization") == f"Token {TOKEN}"
        return Reply(body=png()) if shown else Reply(401)

    for path in (UPLOAD, "/storage-data/uploaded/", "/data/local-files/"):
        server.replies[path] = server.replies[f"/ls{path}"] = media
    return server


@pytest.fixture
def make(settings: Make, label_studio: Server) -> Callable[..., ImageSource]:
    def make(**changes: object) -> ImageSource:
        usual = {
            "label_studio_url": label_studio.url,
            "label_studio_api_key": TOKEN,
            "image_cache_mb": 0,
        }
        # Any public name; nothing may be connected to there.
        return ImageSource(settings(**(usual | changes)), lambda host, _: [_address(host)])

    return make


Source = Callable[..., ImageSource]


def _address(host: str) -> str:
    assert host in {"127.0.0.1", "localhost", "::1"}, f"{host} is looked up"
    return "127.0.0.1"


def state(label_studio: Server, address: str, path: str = "/user/login/") -> None:
    """Make Label Studio's login page name an address, as that of 1.23.2 does."""
    link = f'<link href="{address}/static/images/favicon.8992b8aa4126.ico" rel="shortcut icon"/>'
    label_studio.replies[path] = Reply(body=link.encode(), headers={"Content-Type": "text/html"})


@pytest.mark.parametrize("path", [UPLOAD, STORED, LOCAL])
@pytest.mark.parametrize(
    ("host", "prefix"),
    [
        (PUBLIC, PUBLIC),
        (f"{PUBLIC}/", f"{PUBLIC}:443"),
        (f"{PUBLIC}/label-studio", f"{PUBLIC}/label-studio"),
        (f"{PUBLIC}/label-studio/", "/label-studio"),
        (f"{PUBLIC}/label-studio", "HTTPS://LABELS.example.org/label-studio"),
        ("/label-studio", "/label-studio"),
        (f"{PUBLIC}/label-studio", ""),
    ],
)
def test_the_address_for_browsers_is_asked_at_the_inner_one(
    host: str, prefix: str, path: str, make: Source, label_studio: Server
) -> None:
    source = make(label_studio_host=host)
    assert source.load(prefix + path).pixels.shape == (4, 6, 3)
    assert label_studio.paths == [path]


def test_the_inner_address_may_have_a_path_too(make: Source, label_studio: Server) -> None:
    inner = f"{label_studio.url}/ls"
    source = make(label_studio_url=inner, label_studio_host=f"{PUBLIC}/label-studio")
    for prefix in (f"{PUBLIC}/label-studio", "/label-studio", "", "/ls", inner):
        assert source.load(prefix + UPLOAD).pixels.shape == (4, 6, 3)
    assert set(label_studio.paths) == {f"/ls{UPLOAD}"}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
@pytest.mark.parametrize("own", ["localhost", "127.0.0.1"])
def test_loopback_names_count_as_one(
    name: str, own: str, make: Source, label_studio: Server
) -> None:
    source = make(label_studio_url=f"http://{own}:{label_studio.port}")
    assert source.load(f"http://{name}:{label_studio.port}{UPLOAD}").pixels.shape == (4, 6, 3)
    assert label_studio.requests[0].headers["Host"] == f"{own}:{label_studio.port}"


@pytest.mark.parametrize("path", [UPLOAD, STORED, LOCAL])
@pytest.mark.parametrize("prefix", [f"{PUBLIC}/label-studio", "/label-studio"])
def test_an_address_that_label_studio_alone_knows_is_asked_for(
    prefix: str, path: str, make: Source, label_studio: Server
) -> None:
    state(label_studio, f"{PUBLIC}/label-studio")
    source = make()
    for _ in range(2):
        assert source.load(prefix + path).pixels.shape == (4, 6, 3)
    assert label_studio.paths == ["/user/login/", path, path]
    assert "Authorization" not in label_studio.requests[0].headers


@pytest.mark.parametrize("stated", ["", "https://other.example.org", "https://[", PUBLIC + ":8443"])
def test_another_address_is_a_web_server_like_any_other(
    stated: str, settings: Make, label_studio: Server, other_server: Server
) -> None:
    if stated:
        state(label_studio, stated)
    other_server.replies[UPLOAD] = Reply(body=png())
    made = settings(
        label_studio_url=label_studio.url,
        label_studio_api_key=TOKEN,
        allowed_image_hosts=("labels.example.org",),
    )
    source = ImageSource(made, lambda *_: ["127.0.0.1"])
    url = f"http://labels.example.org:{other_server.port}{UPLOAD}"
    assert source.load(url).pixels.shape == (4, 6, 3)
    assert other_server.paths == [UPLOAD]
    assert "Authorization" not in other_server.requests[0].headers
    assert label_studio.paths == ["/user/login/"]
    with pytest.raises(ImageRefusedError):
        source.load(f"http://private.example.org:{other_server.port}{UPLOAD}")


def test_a_label_studio_that_does_not_answer_states_nothing(
    make: Source, label_studio: Server
) -> None:
    source = make()
    for _ in range(2):
        with pytest.raises(ImageReferenceError, match="not the path of an image"):
            source.load(f"/label-studio{UPLOAD}")
    assert label_studio.paths == ["/user/login/"]


@pytest.mark.parametrize("page", ["/api/users/", "/user/login/", "/data/upload/../../api/users/"])
def test_no_other_page_is_asked_under_any_name(
    page: str, make: Source, label_studio: Server
) -> None:
    state(label_studio, f"{PUBLIC}/label-studio", "/somewhere")
    source = make(label_studio_host=f"{PUBLIC}/label-studio")
    for prefix in ("/label-studio", "/label-studio/label-studio", ""):
        with pytest.raises(ImageError):
            source.load(prefix + page)
    assert label_studio.requests == []


def test_local_files_come_from_disk_under_every_name(
    make: Source, label_studio: Server, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a b.png").write_bytes(png())
    source = make(label_studio_host=f"{PUBLIC}/label-studio", local_files_document_root=tmp_path)
    for prefix in (f"{PUBLIC}/label-studio", "/label-studio", label_studio.url, ""):
        assert source.load(prefix + LOCAL).pixels.shape == (4, 6, 3)
    assert label_studio.requests == []


def test_an_upload_is_one_image_under_every_name(make: Source) -> None:
    source = make(label_studio_host=f"{PUBLIC}/label-studio")
    prefixes = (f"{PUBLIC}/label-studio", "/label-studio", "")
    assert len({source.identify(prefix + UPLOAD) for prefix in prefixes}) == 1


@pytest.mark.parametrize("host", ["labels.example.org", "ftp://x", "https://u:hunter2@x"])
def test_a_host_that_is_none_stops_the_program(host: str, settings: Make) -> None:
    with pytest.raises(SettingsError, match="LABEL_STUDIO_HOST") as caught:
        settings(label_studio_host=host)
    assert "hunter2" not in str(caught.value)
