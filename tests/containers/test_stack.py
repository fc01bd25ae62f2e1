"""``docker compose up``, from the first start through restarts, crashes and an upgrade."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import Page

from synthetic.people import Figure
from tests.containers.conftest import VERSION, make_stack, running
from tests.containers.held_image import HOST, HeldImage
from tests.containers.labeling import click, label_one_image, new_task, predict, stored, work
from tests.support.stack import Stack, docker
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1800)

OURS = ("segmentation", "sam")
SERVERS = ("label-studio", *OURS)

RIGHTS = """
import os
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines())
print(os.getuid(), os.getgid(), status["CapEff"], status["CapBnd"], status["NoNewPrivs"])
"""
WRITABLE = """
import os
for folder in ("/", "/app", "/opt/venv", "/secrets", "/etc", "/tmp", "/cache"):
    try:
        open(f"{folder}/new", "w").close()
        os.remove(f"{folder}/new")
        print(folder)
    except OSError:
        pass
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    variables = {"ALLOWED_IMAGE_HOSTS": HOST, "SAM_MODEL": "sam2.1_tiny", "SAM_CPUS": "1"}
    with running(make_stack(**variables)) as stack:
        yield stack


def test_bootstrap_tells_how_to_get_in_and_not_the_password(stack: Stack) -> None:
    told = stack.logs("bootstrap")
    assert (
        stack.address == f"http://localhost:{stack.variables['LABEL_STUDIO_PORT']}/projects/1/data"
    )
    email, password = stack.login
    assert email == "labeler@localhost"
    assert len(password) >= 16
    assert password not in told + stack.logs("secrets")


def test_an_image_is_labeled_through_the_published_ports(
    page: Page, stack: Stack, figure: Figure
) -> None:
    label_one_image(page, stack, figure)


def test_nothing_is_published_beyond_this_machine(stack: Stack) -> None:
    for service in SERVERS:
        (container,) = stack.inspect(service)
        bound = [each for ports in container["NetworkSettings"]["Ports"].values() for each in ports]
        assert {each["HostIp"] for each in bound} == {"127.0.0.1"}


@pytest.mark.parametrize("service", OURS)
def test_a_backend_may_do_little_in_its_container(stack: Stack, service: str) -> None:
    none = "0" * 16
    assert stack.python(service, RIGHTS) == f"10001 0 {none} {none} 1"
    assert stack.python(service, WRITABLE).split() == ["/tmp", "/cache"]
    (container,) = stack.inspect(service)
    limits = container["HostConfig"]
    assert limits["ReadonlyRootfs"]
    assert limits["Memory"] == 6 << 30
    assert limits["PidsLimit"] == 512


def test_label_studio_runs_as_a_user_without_rights(stack: Stack) -> None:
    (container,) = stack.inspect("label-studio")
    assert container["Config"]["User"] == "1001:0"
    assert container["HostConfig"]["CapDrop"] == ["ALL"]


def test_secrets_are_not_in_what_docker_tells_of_containers(stack: Stack) -> None:
    _, password = stack.login
    for service in SERVERS:
        assert password not in str(stack.inspect(service))


def test_threads_follow_the_cpu_quota(stack: Stack) -> None:
    (loaded,) = re.findall(r'"threads": (\d+)', stack.logs("sam"))
    assert loaded == "1"


def test_the_embedded_network_serves_where_the_weights_cannot_be_had(stack: Stack) -> None:
    assert "sam2.1_tiny is not available, the embedded network serves" in stack.logs("models")
    answer = httpx.get(f"http://127.0.0.1:{stack.variables['SAM_PORT']}/readyz")
    assert answer.json()["model_version"].startswith("embedded-")


def test_a_backend_killed_in_a_prediction_costs_that_prediction_and_nothing_else(
    stack: Stack, held: HeldImage
) -> None:
    with stack.client() as api, ThreadPoolExecutor() as pool:
        task = new_task(api, stack, "killed", f"{held.url}/killed.jpg")
        before = work(api, stack)
        waiting = pool.submit(predict, api, stack, task)
        held.asked_by.get(timeout=120)
        docker("kill", *stack.containers("segmentation"))
        assert waiting.result(timeout=120).status_code < 500
        assert stored(api, task, "predictions") == []
        held.release.set()
        stack.up()
        assert work(api, stack) == before
        predict(api, stack, task).raise_for_status()
        (prediction,) = stored(api, task, "predictions")
        assert prediction["result"]


def test_a_click_whose_backend_is_killed_is_answered_empty_and_the_next_one_well(
    stack: Stack, held: HeldImage
) -> None:
    with stack.client() as api, ThreadPoolExecutor() as pool:
        task = new_task(api, stack, "click", f"{held.url}/click.jpg")
        waiting = pool.submit(click, api, stack, task, 50, 60)
        held.asked_by.get(timeout=120)
        docker("kill", *stack.containers("sam"))
        assert waiting.result(timeout=120) == []
        held.release.set()
        stack.up()
        (mask,) = click(api, stack, task, 50, 60)
        assert mask.any()


def test_label_studio_killed_keeps_what_was_stored(stack: Stack) -> None:
    with stack.client() as api:
        before = work(api, stack)
        docker("kill", *stack.containers("label-studio"))
        stack.up()
        assert work(api, stack) == before


def test_who_is_told_to_stop_answers_the_request_at_work_first(
    stack: Stack, held: HeldImage
) -> None:
    url = f"http://127.0.0.1:{stack.variables['SEGMENTATION_PORT']}"
    with stack.client() as api:
        config = api.get(f"/api/projects/{stack.project}").json()["label_config"]
    body = {"tasks": [{"id": 1, "data": {"image": f"{held.url}/stop.jpg"}}], "label_config": config}
    (container,) = stack.containers("segmentation")
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(httpx.post, f"{url}/predict", json=body, timeout=120)
        held.asked_by.get(timeout=120)
        started = time.monotonic()
        stopping = pool.submit(docker, "stop", "--time", "40", container)
        eventually(lambda: not answers(url), seconds=20)
        held.release.set()
        (result,) = waiting.result(timeout=60).raise_for_status().json()["results"]
        stopping.result(timeout=60)
        assert time.monotonic() - started < 32
    assert result["result"]
    (state,) = (each["State"] for each in stack.inspect("segmentation", "--all"))
    assert state["ExitCode"] == 0
    stack.up()


def answers(url: str) -> bool:
    """Whether new requests are still taken."""
    try:
        return httpx.get(f"{url}/livez", timeout=2).is_success
    except httpx.TransportError:
        return False


def test_up_reports_a_bootstrap_that_fails(stack: Stack) -> None:
    stack.variables["IMAGES"] = "requirements"  # a folder without photographs
    try:
        with pytest.raises(AssertionError, match=r'"bootstrap" didn.t complete successfully'):
            stack.up()
        assert "no photographs" in stack.logs("bootstrap")
    finally:
        del stack.variables["IMAGES"]
    stack.up()


def test_stopped_and_started_again_nothing_is_lost_and_nothing_comes_twice(stack: Stack) -> None:
    login = stack.login
    with stack.client() as api:
        before = work(api, stack)
    stack.down()
    stack.up()
    assert "all secrets exist" in stack.logs("secrets")
    assert stack.login == login
    with stack.client() as api:
        assert work(api, stack) == before


def test_images_of_another_tag_replace_every_container_and_find_all_data_in_the_volumes(
    stack: Stack,
) -> None:
    """What an upgrade does to containers, with the same code in both images.

    So nothing that matters lives outside of the volumes. That a release reads what an older one
    wrote is for the release to test that changes it.
    """
    login = stack.login
    with stack.client() as api:
        before = work(api, stack)
    old = {service: stack.containers(service) for service in SERVERS}
    stack.variables["SEGSTUDIO_VERSION"] = f"{VERSION}-later"
    stack.up("--build", "--force-recreate")
    for service in SERVERS:
        assert stack.containers(service) != old[service]
    for service in OURS:
        (container,) = stack.inspect(service)
        label = container["Config"]["Labels"]["org.opencontainers.image.version"]
        assert label == f"{VERSION}-later"
    assert stack.login == login
    with stack.client() as api:
        assert work(api, stack) == before
