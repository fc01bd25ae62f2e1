"""Certificates and proxies hold for every HTTP client alike."""

import base64
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import requests

from ml_backend.errors import SegstudioError, SettingsError
from ml_backend.http_clients import HttpSettings, http_client, proxy_for, tls_context
from ml_backend.http_sessions import prepare_session
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.schemas import Task
from ml_backend.models import downloads
from ml_backend.serving.metrics import Metrics
from sam_backend.settings import SamSettings
from sam_backend.upcoming_tasks import REST_SECONDS, upcoming_tasks
from segmentation_backend.prewarm_client import PrewarmClient
from segstudio.labelstudio.ml_backends import NO_LOGIN, ask_version
from segstudio.labelstudio.prewarm import Sam
from tests.support.http_server import Listener, Reply, json_reply
from tests.support.pictures import png
from tests.support.proxy_server import ProxyServer
from tests.support.repository import ROOT
from tests.support.tls import Tls, make_certificate

HOST = "studio.example"
MADE_IN = {"ml_backend/http_clients.py", "ml_backend/http_sessions.py"}
ELSEWHERE = {
    "ml_backend/images/http.py": "on httpcore, with the same certificates and proxies",
    "ml_backend/serving/healthcheck.py": "asks its own container, and imports nothing",
}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path, HOST, "127.0.0.1")


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def tls(certificate: Path) -> Iterator[Tls]:
    """Answers as Label Studio, as the backends, and as a place of images."""
    tls = Tls(certificate)
    tls.server.replies |= {
        "/a.png": Reply(body=png()),
        "/api/version": json_reply({"release": "1.23.2"}),
        "/readyz": json_reply({"model_version": "v1"}),
        "/prewarm": json_reply({"results": []}),
        "/api/tasks": json_reply({"tasks": []}),
    }
    yield tls
    tls.server.stop()


def image_fetcher(url: str) -> None:
    settings = ImageSettings(
        allowed_image_hosts=(httpx.URL(url).host,),
        trust_proxy_env=http_client().trust_env,
        image_cache_mb=0,
    )
    ImageSource(settings, lambda *_: ["127.0.0.1"]).load(f"{url}/a.png")


def label_studio_client(url: str) -> None:
    with LabelStudio(url, "token") as client:
        client.version()


def command_line(url: str) -> None:
    ask_version(url, NO_LOGIN)


def prewarm_command(url: str) -> None:
    Sam(url, NO_LOGIN).prewarm([], "<View/>")


def look_ahead(url: str) -> None:
    settings = SamSettings(label_studio_url=url, label_studio_api_key="token")
    upcoming = upcoming_tasks(settings)
    upcoming(Task(id=1, project=1))
    if upcoming._ask_again[1] - time.monotonic() > REST_SECONDS:  # type: ignore[attr-defined]
        raise SegstudioError("no answer")


def relay(url: str) -> None:
    client = PrewarmClient(f"{url}/prewarm", None, Metrics())
    if not client._post(b"{}"):
        raise SegstudioError("not sent")


def weights(url: str) -> None:
    with downloads._client(None) as client:
        client.get(f"{url}/a.png").raise_for_status()


def google(url: str) -> None:
    session = requests.Session()
    prepare_session(session)
    session.get(f"{url}/a.png", timeout=20).raise_for_status()


CLIENTS: list[Callable[[str], None]] = [
    image_fetcher,
    label_studio_client,
    command_line,
    prewarm_command,
    look_ahead,
    relay,
    weights,
    google,
]
FAILURES = (SegstudioError, httpx.HTTPError, OSError)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"])
def test_every_client_trusts_the_authorities_that_are_named(
    variable: str, tls: Tls, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    shutil.copy(certificate, folder / "own.pem")
    subprocess.run(["openssl", "rehash", folder], check=True)
    monkeypatch.setattr(PrewarmClient, "_run", lambda self: None)
    monkeypatch.setattr("segmentation_backend.prewarm_client._REST_SECONDS", 0)
    url = f"https://127.0.0.1:{tls.server.port}"
    monkeypatch.setenv(variable, str(folder if variable == "SSL_CERT_DIR" else certificate))
    for client in CLIENTS:
        before = len(tls.server.requests)
        client(url)
        assert len(tls.server.requests) == before + 1, client
    monkeypatch.delenv(variable)
    for client in CLIENTS:
        with pytest.raises(FAILURES):
            client(url)
    assert len(tls.server.requests) == len(CLIENTS)


def test_public_authorities_are_trusted_as_well(certificate: Path) -> None:
    own = tls_context(HttpSettings(ssl_cert_file=certificate))
    assert len(own.get_ca_certs()) == len(tls_context().get_ca_certs()) + 1
    assert len(tls_context().get_ca_certs()) > 50


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("text")
    for name in ("text.pem", "missing.pem"):
        with pytest.raises(SettingsError, match=rf"SSL_CERT_FILE=.*{name}"):
            tls_context(HttpSettings(ssl_cert_file=tmp_path / name))


@pytest.fixture
def proxy(tls: Tls) -> Iterator[ProxyServer]:
    with ProxyServer(lambda _target: ("127.0.0.1", tls.server.port)) as proxy:
        yield proxy


def test_every_client_goes_through_the_proxy_where_the_operator_asks_for_it(
    tls: Tls, certificate: Path, proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrewarmClient, "_run", lambda self: None)
    monkeypatch.setattr("segmentation_backend.prewarm_client._REST_SECONDS", 0)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("HTTPS_PROXY", f"http://anna:s3cret@{proxy.host}")
    monkeypatch.setenv("TRUST_PROXY_ENV", "true")
    for client in CLIENTS:
        client(f"https://{HOST}")
    assert proxy.targets == [f"{HOST}:443"] * len(CLIENTS)
    assert set(proxy.logins) == {f"Basic {base64.b64encode(b'anna:s3cret').decode()}"}
    monkeypatch.setenv("NO_PROXY", HOST)
    for client in (label_studio_client, image_fetcher, google):
        with pytest.raises(FAILURES):
            client(f"https://{HOST}")
    assert len(proxy.targets) == len(CLIENTS)


def test_nobody_uses_a_proxy_unasked_nor_for_this_machine(
    tls: Tls, certificate: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrewarmClient, "_run", lambda self: None)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{listener.port}")
    for client in CLIENTS:
        client(f"https://127.0.0.1:{tls.server.port}")
    monkeypatch.setenv("TRUST_PROXY_ENV", "true")
    for client in CLIENTS:
        if client is not google:  # requests knows no exception but NO_PROXY
            client(f"https://127.0.0.1:{tls.server.port}")
    assert not listener.was_reached()


def test_a_proxy_is_chosen_as_the_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = HttpSettings(trust_proxy_env=True)
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example, .local")
    found = proxy_for(httpx.URL("https://public.example/a"), asked)
    assert found == httpx.URL("http://proxy.example:3128")
    for url in ("http://public.example", "https://inside.example", "https://a.local"):
        assert proxy_for(httpx.URL(url), asked) is None
    assert proxy_for(httpx.URL("https://public.example/a"), HttpSettings()) is None


def test_clients_are_made_in_one_place() -> None:
    made = re.compile(
        r"httpx\.(Async)?Client\(|httpx\.(get|post|request|stream)\(|requests\.(get|post)\("
        r"|HTTPConnection\(|urlopen\(|create_ssl_context\(|create_default_context\("
    )
    found = {
        str(path.relative_to(ROOT))
        for package in ("ml_backend", "sam_backend", "segmentation_backend", "segstudio")
        for path in (ROOT / package).rglob("*.py")
        if made.search(path.read_text())
    }
    assert found - MADE_IN <= set(ELSEWHERE)
