"""``task_data_login`` and ``task_data_password`` of a project: for the task's host only."""

import base64
from collections.abc import Callable

import pytest

from ml_backend.errors import ImageFetchError
from ml_backend.images import ImageSettings, ImageSource, TaskAccess
from tests.support.http_server import Reply, Request, Server
from tests.support.pictures import png

Make = Callable[..., ImageSettings]

LOGIN = TaskAccess(task=1, project=1, login=("anna", "s3cret:ü"))
HEADER = f"Basic {base64.b64encode('anna:s3cret:ü'.encode()).decode()}"


@pytest.fixture
def guarded(server: Server) -> Server:
    def answer(request: Request) -> Reply:
        right = request.headers.get("Authorization") == HEADER
        return Reply(body=png()) if right else Reply(401)

    server.replies["/a.png"] = server.replies["/" + "0" * 64 + ".png"] = answer
    return server


@pytest.fixture
def source(settings: Make, guarded: Server, other_server: Server) -> ImageSource:
    hosts = (guarded.host, other_server.host)
    return ImageSource(settings(allowed_image_hosts=hosts, label_studio_url="http://ls.example"))


@pytest.mark.parametrize("name", ["a.png", "0" * 64 + ".png"])
def test_the_login_opens_the_host_for_this_project_alone(
    name: str, source: ImageSource, guarded: Server
) -> None:
    url = f"{guarded.url}/{name}"
    identity = source.open(url, access=LOGIN).identity
    assert source.identify(url, LOGIN) == identity
    for other in (TaskAccess(), TaskAccess(login=("anna", "wrong"))):
        assert source.identify(url, other) != identity
        with pytest.raises(ImageFetchError, match="401"):
            source.load(url, access=other)


def test_the_login_does_not_follow_to_another_host(
    source: ImageSource, guarded: Server, other_server: Server
) -> None:
    other_server.replies["/b.png"] = Reply(body=png())
    guarded.replies["/away.png"] = Reply(302, headers={"Location": f"{other_server.url}/b.png"})
    guarded.replies["/here.png"] = Reply(302, headers={"Location": "/a.png"})
    for name in ("away", "here"):
        assert source.load(f"{guarded.url}/{name}.png", access=LOGIN).pixels.shape == (4, 6, 3)
    assert "Authorization" not in other_server.requests[0].headers


def test_label_studio_gets_its_token_and_no_login(settings: Make, server: Server) -> None:
    upload = "/data/upload/1/a.png"
    server.replies[upload] = Reply(body=png())
    made = settings(label_studio_url=server.url, label_studio_api_key="abc")
    ImageSource(made).load(upload, access=LOGIN)
    assert server.requests[0].headers["Authorization"] == "Token abc"


def test_the_login_is_in_no_text(source: ImageSource, guarded: Server) -> None:
    guarded.replies["/a.png"] = Reply(500)
    with pytest.raises(ImageFetchError) as caught:
        source.load(f"{guarded.url}/a.png", access=LOGIN)
    assert "s3cret" not in f"{caught.value}{caught.value!r}{LOGIN!r}"
