"""The images, built once, and what all stacks need."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from synthetic.people import Figure, draw_figure
from tests.containers.held_image import HeldImage, held_image
from tests.e2e.conftest import browser as browser
from tests.support.labeling_page import log_in
from tests.support.photographs import save_plain
from tests.support.processes import free_port
from tests.support.stack import Stack, docker

VERSION = "tested"
PORTS = ("LABEL_STUDIO_PORT", "SEGMENTATION_PORT", "SAM_PORT", "HTTP_PORT", "HTTPS_PORT")

NewStack = Callable[..., Stack]


def make_stack(*overrides: str, **variables: str) -> Stack:
    """A stack on free ports under a name of its own; nothing is started yet."""
    files = ("docker-compose.yml", *(f"docker-compose.{name}.yml" for name in overrides))
    ports = {name: str(free_port()) for name in PORTS}
    return Stack(
        f"segstudio-{'-'.join(overrides) or 'test'}-{os.getpid()}",
        (*files, "tests/containers/docker-compose.yml"),
        {"SEGSTUDIO_VERSION": VERSION} | ports | variables,
    )


@contextmanager
def running(stack: Stack) -> Iterator[Stack]:
    """Build what has to be built, start it, and take all of it down in the end."""
    try:
        stack.up("--build")
        yield stack
    finally:
        stack.down("--volumes")
    assert stack.left_behind() == []


@pytest.fixture(scope="session", autouse=True)
def images() -> Iterator[None]:
    """Images under tags of their own, gone afterwards; their layers stay in the build cache."""
    yield
    for tag in (VERSION, f"{VERSION}-later"):
        for name in ("segmentation", "sam", "ray"):
            docker("image", "rm", f"segstudio-{name}:{tag}", check=False)


@pytest.fixture(scope="session")
def figure() -> Figure:
    """The first of the samples that bootstrap draws."""
    return draw_figure(1, 900, 600)


@pytest.fixture
def held(tmp_path: Path, figure: Figure) -> Iterator[HeldImage]:
    """A picture that containers fetch, and get when the test says so."""
    save_plain(tmp_path / "held.jpg", figure)
    with held_image(tmp_path / "held.jpg") as image:
        yield image


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """A page of a labeler who has just logged in, whoever signed the certificate."""
    page = browser.new_page(viewport={"width": 1500, "height": 950}, ignore_https_errors=True)
    page.set_default_timeout(120_000)
    log_in(page, stack.url, *stack.login)
    yield page
    page.close()
