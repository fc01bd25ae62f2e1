"""One Label Studio with both backends for the whole run, and a browser."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from typer.testing import CliRunner

from segstudio.cli.main import app
from synthetic.people import Figure, draw_figure
from tests.support.command_line import Run
from tests.support.gcs_server import GcsServer, Key
from tests.support.http_server import Server
from tests.support.labeling_page import log_in
from tests.support.photographs import save_plain, save_rotated
from tests.support.processes import free_port, free_ports
from tests.support.proxy_server import ProxyServer
from tests.support.storage_servers import AZURE_HOST
from tests.support.studio import Studio
from tests.support.tls import make_certificate

SEED = 3_000_004
HEIGHT, WIDTH = 900, 600
SECONDS = 90  # that a busy machine may take to show a page


@pytest.fixture(scope="session")
def figure() -> Figure:
    return draw_figure(SEED, HEIGHT, WIDTH)


@pytest.fixture(scope="package")
def cloud() -> Iterator[GcsServer]:
    """The Google Cloud Storage that Label Studio, the backends and the commands use."""
    server = GcsServer(Key())
    for bucket in ("photos", "labels"):
        server.add_bucket(bucket)
    yield server
    server.stop()


@dataclass(frozen=True)
class Outside:
    """The way out of this machine: a proxy that leads to the storages of ``test_storages`` only.

    Attributes:
        proxy: Refuses whatever a test does not allow.
        certificate: For Azure's name, with its key.
        s3_port: Where an S3 may listen.
        web: A web server that the backends may fetch images from.
    """

    web: Server
    proxy: ProxyServer
    certificate: Path
    s3_port: int

    @property
    def variables(self) -> dict[str, str]:
        """What Label Studio, the backends and the commands must have in their environment."""
        return {
            "HTTPS_PROXY": self.proxy.url,
            "TRUST_PROXY_ENV": "true",
            "REQUESTS_CA_BUNDLE": str(self.certificate),
            "ALLOWED_IMAGE_HOSTS": f"127.0.0.1:{self.s3_port},{self.web.host},{AZURE_HOST}",
        }


@pytest.fixture(scope="package")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    certificate = make_certificate(tmp_path_factory.mktemp("certificate"), AZURE_HOST)
    with Server() as web, ProxyServer(lambda _target: None) as proxy:
        yield Outside(web, proxy, certificate, free_port())


@pytest.fixture(scope="package")
def studio(
    tmp_path_factory: pytest.TempPathFactory, figure: Figure, cloud: GcsServer, outside: Outside
) -> Iterator[Studio]:
    names = ("LABEL_STUDIO_PORT", "SEGMENTATION_PORT", "SAM_PORT")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    folder = tmp_path_factory.mktemp("studio")
    models = {"MODELS_DIR": str(folder / "models"), "LEARN_NICE": "0"}  # other tests run too
    studio = Studio(folder, ports, cloud.variables | outside.variables | models)
    studio.images.mkdir()
    save_plain(studio.images / "plain.jpg", figure)
    save_rotated(studio.images / "rotated.jpg", figure)
    try:
        studio.start()
        yield studio
    finally:
        if studio.process:
            studio.stop()


@pytest.fixture
def run(studio: Studio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs ``segstudio`` with the running Label Studio, in an empty folder."""
    ports = {name: str(port) for name, port in studio.ports.items()}
    for name, value in {**ports, **studio.variables, "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATE_DIR", str(studio.folder / "state"))
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; no longer than a module, for Playwright keeps an event loop running."""
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def labeler(browser: Browser, studio: Studio) -> Iterator[BrowserContext]:
    """A labeler who is logged in. Pages of one context share what the browser has compiled."""
    context = browser.new_context(viewport={"width": 1500, "height": 950}, reduced_motion="reduce")
    context.set_default_timeout(SECONDS * 1000)
    with closing(context.new_page()) as page:
        log_in(page, studio.url, studio.state.email, studio.state.password)
    yield context
    context.close()


@pytest.fixture
def page(labeler: BrowserContext, studio: Studio) -> Iterator[Page]:
    """A page of a labeler who has just logged in: nothing that was chosen before is remembered."""
    with closing(labeler.new_page()) as page:
        session = labeler.new_cdp_session(page)
        storage = {"origin": studio.url, "storageTypes": "local_storage"}
        session.send("Storage.clearDataForOrigin", storage)
        yield page
