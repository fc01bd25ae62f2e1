"""The team's stack at scale: PostgreSQL, TLS, three sam backends of which two are killed."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from synthetic.people import Figure
from tests.containers.conftest import make_stack, running
from tests.containers.held_image import HOST, HeldImage
from tests.containers.labeling import click, label_one_image, new_task, work
from tests.support.stack import Stack, docker

pytestmark = pytest.mark.timeout(1800)

METRICS = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:9090/metrics").read().decode())
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = make_stack("scale", "team", ALLOWED_IMAGE_HOSTS=HOST)
    stack.variables["LABEL_STUDIO_HOST"] = f"https://localhost:{stack.variables['HTTPS_PORT']}"
    with running(stack):
        yield stack


@pytest.fixture
def certificate(stack: Stack, tmp_path: Path) -> str:
    """Path of the certificate that was made on the first start."""
    path = tmp_path / "fullchain.pem"
    path.write_text(stack.compose("exec", "--no-TTY", "nginx", "cat", "/tls/fullchain.pem"))
    return str(path)


def test_an_image_is_labeled_over_tls(page: Page, stack: Stack, figure: Figure) -> None:
    assert stack.url == stack.variables["LABEL_STUDIO_HOST"]
    label_one_image(page, stack, figure)


def test_the_certificate_is_that_of_the_host_and_plain_http_leads_to_it(
    stack: Stack, certificate: str
) -> None:
    assert httpx.get(f"{stack.url}/health", verify=certificate).is_success
    plain = httpx.get(f"http://localhost:{stack.variables['HTTP_PORT']}/projects/1/data?task=1")
    assert plain.status_code == httpx.codes.MOVED_PERMANENTLY
    assert plain.headers["Location"] == f"{stack.url}/projects/1/data?task=1"


@pytest.mark.usefixtures("stack")  # its images
def test_a_key_that_nginx_could_not_read_is_told_before_anything_starts(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for name, mode in (("fullchain.pem", 0o644), ("privkey.pem", 0o600)):
        (tmp_path / name).write_text("mine")
        (tmp_path / name).chmod(mode)
    other = make_stack("team", TLS_DIR=str(tmp_path))
    try:
        with pytest.raises(AssertionError, match=r"/tls/privkey\.pem: Permission denied"):
            other.compose("run", "--rm", "secrets")
        (tmp_path / "privkey.pem").chmod(0o640)
        os.chown(tmp_path / "privkey.pem", -1, 0)
        other.compose("run", "--rm", "secrets")
    finally:
        other.down("--volumes")
    assert (tmp_path / "privkey.pem").read_text() == "mine"


def test_a_session_is_for_tls_alone(page: Page) -> None:
    (session,) = (each for each in page.context.cookies() if each.get("name") == "sessionid")
    assert session.get("secure")


def test_the_team_alone_publishes_nginx_and_nothing_else() -> None:
    config = json.loads(make_stack("team").compose("config", "--format", "json"))
    published = {name for name, each in config["services"].items() if each.get("ports")}
    assert published == {"nginx"}


def test_projects_and_tasks_are_in_postgresql(stack: Stack) -> None:
    words = ("psql", "--username=label-studio", "--tuples-only", "--no-align", "--command")
    count = stack.compose("exec", "--no-TTY", "database", *words, "select count(*) from task")
    assert int(count) >= 6


@pytest.mark.parametrize("service", ["database", "nginx", "redis", "sam-balancer"])
def test_what_stands_beside_is_confined_too(stack: Stack, service: str) -> None:
    status = stack.compose("exec", "--no-TTY", service, "cat", "/proc/1/status")
    found = dict(line.split(":\t") for line in status.splitlines())
    assert found["Uid"].split()[0] != "0"
    assert (found["CapEff"], found["NoNewPrivs"]) == ("0" * 16, "1")
    (container,) = stack.inspect(service)
    assert container["HostConfig"]["ReadonlyRootfs"]


def test_nobody_but_label_studio_reaches_the_database(stack: Stack) -> None:
    look = "import socket; socket.getaddrinfo('database', 5432)"
    stack.compose("exec", "--no-TTY", "label-studio", "python3", "-c", look)
    with pytest.raises(AssertionError, match="gaierror"):
        stack.python("segmentation", look)


def test_a_killed_sam_backend_loses_nothing(stack: Stack, held: HeldImage) -> None:
    replicas = stack.containers("sam")
    assert len(replicas) == 3
    with stack.client(verify=False) as api, ThreadPoolExecutor() as pool:
        task = new_task(api, stack, "shared", f"{held.url}/shared.jpg")
        before = {each: came_from(each) for each in replicas}

        def gained(container: str) -> Counter[str]:
            return came_from(container) - before[container]

        # Killed while it works on the click: another answers that very click.
        waiting = pool.submit(click, api, stack, task, 50, 60)
        first = at(held.asked_by.get(timeout=120), replicas)
        docker("kill", first)
        held.release.set()
        (mask,) = waiting.result(timeout=120)
        assert mask.any()

        # Killed after it made the embedding: another takes that one out of Redis.
        left = [each for each in replicas if each != first]
        (second,) = (each for each in left if gained(each) == {"model": 1})
        (third,) = (each for each in left if each != second)
        docker("kill", second)
        (again,) = click(api, stack, task, 50, 60)
        assert (again == mask).all()
        assert gained(third) == {"redis": 1}


def at(address: str, containers: list[str]) -> str:
    """The container that has an address."""
    form = "{{ range .NetworkSettings.Networks }}{{ .IPAddress }} {{ end }}"
    (found,) = (
        each for each in containers if address in docker("inspect", "--format", form, each).split()
    )
    return found


def came_from(container: str) -> Counter[str]:
    """How many embeddings a sam backend had, by source."""
    told = docker("exec", container, "python", "-c", METRICS)
    counted = re.findall(r'^segstudio_embeddings_total\{source="(\w+)"\} (\S+)', told, re.MULTILINE)
    return Counter({source: int(float(count)) for source, count in counted})


def test_the_killed_are_brought_back_and_nothing_is_lost_when_all_start_anew(stack: Stack) -> None:
    with stack.client(verify=False) as api:
        before = work(api, stack)
    stack.down()
    stack.up()
    assert len(stack.containers("sam")) == 3
    with stack.client(verify=False) as api:
        assert work(api, stack) == before
