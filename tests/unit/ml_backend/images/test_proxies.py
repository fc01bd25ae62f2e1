"""Images through a proxy: to addresses that were checked here, and by name only if allowed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ml_backend.errors import ImageError, ImageFetchError, ImageRefusedError
from ml_backend.images import ImageSettings, ImageSource
from tests.support.http_server import Listener, Reply
from tests.support.pictures import png
from tests.support.proxy_server import ProxyServer
from tests.support.tls import Tls, make_certificate
from tests.unit.ml_backend.images.test_addresses import LOOPBACK_HOSTS, PRIVATE

Make = Callable[..., ImageSettings]


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[Tls]:
    tls = Tls(make_certificate(tmp_path, "images.example"))
    tls.server.replies["/a.png"] = Reply(body=png())
    yield tls
    tls.server.stop()


@pytest.fixture
def proxy(tls: Tls) -> Iterator[ProxyServer]:
    with ProxyServer(lambda _target: ("127.0.0.1", tls.server.port)) as proxy:
        yield proxy


@pytest.fixture
def make(
    settings: Make, proxy: ProxyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ImageSource]:
    for variable in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, proxy.url)
    certificate = tmp_path / "certificate.pem"

    def make(address: str, **changes: object) -> ImageSource:
        made = settings(trust_proxy_env=True, ssl_cert_file=certificate, **changes)

        def resolve(host: str, _port: int) -> list[str]:
            found = host if host[0].isdigit() else address
            return [found] if found else []

        return ImageSource(made, resolve)

    return make


Source = Callable[..., ImageSource]


def test_the_proxy_is_given_the_checked_address_and_the_certificate_is_of_the_name(
    make: Source, proxy: ProxyServer, tls: Tls
) -> None:
    source = make("93.184.216.34")
    assert source.load("https://images.example/a.png").pixels.shape == (4, 6, 3)
    assert proxy.targets == ["93.184.216.34:443"]
    assert tls.names == ["images.example"]
    with pytest.raises(ImageFetchError, match="CERTIFICATE_VERIFY_FAILED"):
        source.load("https://other.example/a.png")


def test_the_name_of_an_allowed_host_is_left_to_the_proxy(make: Source, proxy: ProxyServer) -> None:
    source = make("", allowed_image_hosts=("images.example",))
    assert source.load("https://images.example/a.png").pixels.shape == (4, 6, 3)
    assert proxy.targets == ["images.example:443"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_of_a_private_address_does_not_reach_the_proxy(
    address: str, make: Source, proxy: ProxyServer
) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(ImageRefusedError, match="not a public address"):
            make(address).load(f"{scheme}://images.example/a.png")
    assert proxy.targets == []


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
def test_this_machine_is_not_reached_through_the_proxy(
    host: str, settings: Make, proxy: ProxyServer, make: Source, listener: Listener
) -> None:
    source = ImageSource(settings(trust_proxy_env=True))
    with pytest.raises(ImageError):
        source.load(f"http://{host}:{listener.port}/a.png")
    assert proxy.targets == []
    assert not listener.was_reached()


def test_a_name_that_only_the_proxy_knows_has_its_way_out(
    settings: Make, make: Source, proxy: ProxyServer
) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError

    with pytest.raises(ImageFetchError, match="cannot be resolved") as caught:
        ImageSource(settings(trust_proxy_env=True), unknown).load("https://images.example/a.png")
    assert "add images.example to ALLOWED_IMAGE_HOSTS" in caught.value.hint
    assert proxy.targets == []


def test_redirects_are_checked_behind_the_proxy_too(
    make: Source, proxy: ProxyServer, tls: Tls
) -> None:
    tls.server.replies["/away.png"] = Reply(302, headers={"Location": "https://10.0.0.1/a.png"})
    source = make("93.184.216.34")
    with pytest.raises(ImageRefusedError):
        source.load("https://images.example/away.png")
    assert proxy.targets == ["93.184.216.34:443"]


def test_a_proxy_that_refuses_is_named_without_its_password(
    make: Source, proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.connects_to = lambda _target: None
    monkeypatch.setenv("HTTPS_PROXY", f"http://anna:s3cret@{proxy.host}")
    with pytest.raises(ImageFetchError, match=r"the proxy 127\.0\.0\.1 answers HTTP 403") as caught:
        make("93.184.216.34").load("https://images.example/a.png")
    assert "s3cret" not in f"{caught.value}{caught.value!r}"
