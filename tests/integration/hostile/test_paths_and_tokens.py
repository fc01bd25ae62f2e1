"""No file outside the folder is read, no page of Label Studio is asked, no token goes astray."""

import pytest

from tests.integration.hostile.conftest import TOKEN, Scene
from tests.support.asking import jpeg, predicted
from tests.support.http_server import Reply

OUTSIDE = [
    "../outside/secret.jpg",
    "%2e%2e/outside/secret.jpg",
    "..%2foutside%2fsecret.jpg",
    "%252e%252e/outside/secret.jpg",
    "folder/../../outside/secret.jpg",
    "..\\outside\\secret.jpg",
    "./.././outside/secret.jpg",
    "folder/secret.jpg",
    "link.jpg",
    "relative.jpg",
    "circle.jpg",
    "inside.jpg%00.txt",
    "inside.jpg/../../outside/secret.jpg",
    "/etc/passwd",
    "",
    ".",
]

CLIMBING = [
    "/data/upload/../../api/projects",
    "/data/upload/..%2f..%2fapi/projects",
    "/data/upload/%2e%2e/%2e%2e/api/projects",
    "/data/upload/%252e%252e/%252e%252e/api/projects",
    "/data/upload/..\\..\\api\\projects",
    "/data/upload/1/..;/..;/../api/projects",
    "/data/local-files/../../api/current-user/token",
    "/api/projects",
    "/api/current-user/token",
    "/user/login/?next=/data/upload/1/a.jpg",
    "/data/uploads/a.jpg",
    "/DATA/upload/../api/projects",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_file_outside_the_folder_is_read(scene: Scene, name: str) -> None:
    absolute = f"{scene.root.parent}/outside/secret.jpg"
    references = [f"/data/local-files/?d={each}" for each in (name, absolute)]
    assert predicted(scene.segmentation, *references) == [False, False]


def test_files_in_the_folder_are_read_also_by_a_link(scene: Scene) -> None:
    references = [f"/data/local-files/?d={name}" for name in ("inside.jpg", "within.jpg")]
    assert predicted(scene.segmentation, *references) == [True, True]


def test_no_page_of_label_studio_is_asked(scene: Scene) -> None:
    scene.studio.requests.clear()
    absolute = [scene.studio.url + path for path in CLIMBING]
    found = predicted(scene.segmentation, *CLIMBING, *absolute)
    assert not any(found)
    # As an absolute address it is a host like any other, and a private one.
    assert scene.studio.requests == []


def test_the_token_goes_to_media_of_label_studio_and_nowhere_else(scene: Scene) -> None:
    studio, web = scene.studio, scene.web
    web.replies["/moved.jpg"] = Reply(body=jpeg())
    studio.replies["/data/upload/1/own.jpg"] = Reply(body=jpeg())
    for name, target in {
        "away.jpg": f"{web.url}/moved.jpg",
        "login.jpg": "/user/login/?next=x",
        "self.jpg": "/data/upload/1/own.jpg",
    }.items():
        studio.replies[f"/data/upload/1/{name}"] = Reply(302, headers={"Location": target})
    web.replies["/back.jpg"] = Reply(
        302, headers={"Location": f"{studio.url}/data/upload/1/own.jpg"}
    )
    web.replies["/echo.jpg"] = lambda request: Reply(500, repr(request.headers).encode())
    studio.requests.clear()
    web.requests.clear()
    uploads = [f"/data/upload/1/{name}.jpg" for name in ("own", "away", "self", "login")]
    hostile = [f"{web.url}/{name}.jpg" for name in ("moved", "back", "echo")]
    found = predicted(scene.segmentation, *uploads, *hostile)
    assert found == [True, True, True, False, True, False, False]
    assert {r.headers.get("Authorization") for r in web.requests} == {None}
    given = {r.path for r in studio.requests if r.headers.get("Authorization") == f"Token {TOKEN}"}
    assert given == set(uploads)
    assert {r.path for r in studio.requests} == given


def test_user_names_in_addresses_are_refused(scene: Scene) -> None:
    scene.web.requests.clear()
    host = scene.studio.host
    references = [
        f"http://{host}@{scene.web.host}/good.jpg",
        f"http://{host}:80@{scene.web.host}/data/upload/1/own.jpg",
        f"http://s3cret:s3cret@{scene.web.host}/good.jpg",
        f"http://{scene.web.host}\\@{host}/data/upload/1/own.jpg",
    ]
    assert predicted(scene.segmentation, *references) == [False] * len(references)
    assert scene.web.requests == []
