"""No address that is not public is connected to by a running backend: a listener proves it."""

from urllib.parse import quote

import pytest

from tests.integration.hostile.conftest import Scene
from tests.support.asking import ask, batch, click, last_failure, predicted
from tests.support.http_server import Reply
from tests.unit.ml_backend.images.test_addresses import LOOPBACK_HOSTS, PRIVATE

METADATA = [
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://metadata/computeMetadata/v1/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://0251.0376.0251.0376/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://168.63.129.16/metadata/instance",
    "http://192.0.0.192/latest/",
    "http://100.100.100.200/latest/meta-data/",
]


def hosts() -> list[str]:
    """Every way to write this machine that httpx and the resolver may know."""
    return [*LOOPBACK_HOSTS, *(f"{'%31'}27.0.0.1", "127.0.0.1.", "0x7f.1", "127.000.000.001")]


def test_this_machine_is_not_reached_however_it_is_written(scene: Scene) -> None:
    references = [f"http://{host}:{scene.forbidden.port}/a.jpg" for host in hosts()]
    for backend in scene.backends:
        entries = ask(backend, batch(*references))
        assert entries == [[]] * len(references)
    assert not scene.forbidden.was_reached()


def test_the_metadata_service_and_private_networks_are_refused(scene: Scene) -> None:
    private = [f"http://[{a}]/a.jpg" if ":" in a else f"http://{a}/a.jpg" for a in PRIVATE]
    found = predicted(scene.segmentation, *METADATA, *private)
    assert not any(found)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
def test_a_redirect_from_a_public_place_to_a_private_one_is_not_followed(
    scene: Scene, host: str, status: int
) -> None:
    path = f"/{status}/{quote(host, safe='')}"
    target = f"http://{host}:{scene.forbidden.port}/a.jpg"
    scene.web.replies[path] = Reply(status, headers={"Location": target})
    (entry,) = ask(scene.sam, click(scene.web.url + path))
    assert entry["result"] == []
    assert "image_refused" in last_failure(scene.sam)
    assert not scene.forbidden.was_reached()


def test_label_studio_may_not_send_us_to_a_private_place_either(scene: Scene) -> None:
    target = f"http://127.0.0.1:{scene.forbidden.port}/a.jpg"
    scene.studio.replies["/data/upload/1/r.jpg"] = Reply(302, headers={"Location": target})
    assert predicted(scene.segmentation, "/data/upload/1/r.jpg") == [False]
    assert not scene.forbidden.was_reached()


@pytest.mark.parametrize("scheme", ["s3", "azure-blob", "gs", "other"])
def test_a_signed_address_of_a_private_place_is_not_followed(scene: Scene, scheme: str) -> None:
    target = f"http://localhost:{scene.forbidden.port}/a.jpg?X-Amz-Signature=s3cret"
    scene.studio.replies["/tasks/0/presign/"] = Reply(303, headers={"Location": target})
    assert predicted(scene.segmentation, f"{scheme}://bucket/a.jpg") == [False]
    assert not scene.forbidden.was_reached()


def test_no_address_of_label_studio_leads_to_a_private_place(scene: Scene) -> None:
    private = f"http://127.0.0.1:{scene.forbidden.port}"
    page = f'<link href="{private}/static/images/favicon.ico" rel="shortcut icon"/>'
    scene.studio.replies["/user/login/"] = Reply(body=page.encode())
    scene.studio.replies["/data/upload/1/r.jpg"] = Reply(
        302, headers={"Location": f"{private}/data/upload/1/r.jpg"}
    )
    upload = "/data/upload/1/r.jpg"
    prefixes = (private, "https://labels.example.org/ls", "/ls", "/other", "http://localhost")
    found = predicted(scene.segmentation, *(prefix + upload for prefix in prefixes))
    assert not any(found)
    assert not scene.forbidden.was_reached()


def test_a_login_opens_no_private_place(scene: Scene) -> None:
    target = f"http://127.0.0.1:{scene.forbidden.port}/a.jpg"
    scene.web.replies["/login.jpg"] = Reply(302, headers={"Location": target})
    body = batch(f"{scene.web.url}/login.jpg", target)
    body["params"] |= {"login": "anna", "password": "s3cretLogin"}
    assert ask(scene.segmentation, body) == [[], []]
    assert not scene.forbidden.was_reached()
    scene.web.requests.clear()


def test_the_place_that_is_allowed_is_reached(scene: Scene) -> None:
    assert predicted(scene.segmentation, f"{scene.web.url}/good.jpg") == [True]
