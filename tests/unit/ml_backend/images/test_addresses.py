"""No address that is not public is ever connected to, however it is written or reached."""

import ipaddress
import socket
from collections.abc import Callable

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import ImageError, ImageFetchError, ImageRefusedError, SettingsError
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.images.addresses import AddressPolicy, is_public, parse_host
from tests.support.http_server import Listener, Reply, Server
from tests.support.pictures import png

LOOPBACK_HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.0.2",
    "2130706433",
    "0x7f000001",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "①②⑦.⓪.⓪.①",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "public.example@127.0.0.1",
    "public.example:80@127.0.0.1",
    "public.example%2f@127.0.0.1",
    "public.example\\@127.0.0.1",
    "127.0.0.1\\@public.example",
    "127.0.0.1%00.public.example",
]

PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::10.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:808:808::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Record every connection that would be made, and make none."""
    made: list[tuple[str, int]] = []

    def connect(_self: object, host: str, port: int, *args: object) -> None:
        made.append((host, port))
        raise httpcore.ConnectError("recorded")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    return made


Make = Callable[..., ImageSettings]


@pytest.mark.parametrize("host", LOOPBACK_HOSTS)
def test_loopback_is_not_reached_however_it_is_spelled(
    host: str, settings: Make, listener: Listener
) -> None:
    with pytest.raises(ImageError):
        ImageSource(settings()).load(f"http://{host}:{listener.port}/a.png")
    assert not listener.was_reached()


def test_the_listener_would_have_noticed(settings: Make, listener: Listener) -> None:
    source = ImageSource(settings(allowed_image_hosts=("localhost",), read_seconds=0.1))
    with pytest.raises(ImageFetchError):
        source.load(f"http://localhost:{listener.port}/a.png")
    assert listener.was_reached()


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_of_a_private_address_is_refused(
    address: str, settings: Make, connections: list[tuple[str, int]]
) -> None:
    source = ImageSource(settings(), resolver=lambda host, port: [address])
    with pytest.raises(ImageRefusedError, match="not a public address") as caught:
        source.load("http://metadata.google.internal/computeMetadata/v1/")
    assert connections == []
    assert "ALLOWED_IMAGE_HOSTS" in caught.value.hint


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_number_is_refused(
    address: str, settings: Make, connections: list[tuple[str, int]]
) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ImageError):
        ImageSource(settings()).load(f"https://{host}/a.png")
    assert connections == []


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::6810:85e5"])
def test_public_addresses_are_connected_to(
    address: str, settings: Make, connections: list[tuple[str, int]]
) -> None:
    source = ImageSource(settings(), resolver=lambda host, port: [address])
    with pytest.raises(ImageFetchError):
        source.load("https://images.example/a.png")
    assert connections == [(address, 443)]


def test_one_private_address_among_public_ones_refuses_the_name(
    settings: Make, connections: list[tuple[str, int]]
) -> None:
    source = ImageSource(settings(), resolver=lambda host, port: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(ImageRefusedError):
        source.load("http://images.example/a.png")
    assert connections == []


def test_a_name_that_turns_private_the_second_time_is_asked_only_once(
    settings: Make, connections: list[tuple[str, int]]
) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    source = ImageSource(settings(), resolver=lambda host, port: next(answers))
    with pytest.raises(ImageFetchError):
        source.load("http://rebind.example/a.png")
    assert connections == [("8.8.8.8", 80)]
    with pytest.raises(ImageRefusedError):
        source.load("http://rebind.example/a.png")
    assert connections == [("8.8.8.8", 80)]


def test_a_redirect_to_a_private_address_is_refused(
    settings: Make, server: Server, listener: Listener
) -> None:
    target = f"http://127.0.0.1:{listener.port}/secret.png"
    server.replies["/a.png"] = Reply(302, headers={"Location": target})
    source = ImageSource(settings(allowed_image_hosts=(server.host,)))
    with pytest.raises(ImageRefusedError):
        source.load(f"{server.url}/a.png")
    assert not listener.was_reached()


def test_a_name_that_turns_private_between_two_hops_is_refused(
    settings: Make, server: Server, listener: Listener
) -> None:
    server.replies["/a.png"] = Reply(
        302, headers={"Location": f"http://rebind.example:{listener.port}/a.png"}
    )
    source = ImageSource(
        settings(allowed_image_hosts=(f"rebind.example:{server.port}",)),
        resolver=lambda host, port: ["127.0.0.1"],
    )
    with pytest.raises(ImageRefusedError):
        source.load(f"http://rebind.example:{server.port}/a.png")
    assert server.paths == ["/a.png"]
    assert not listener.was_reached()


def test_an_allowed_host_may_be_private(settings: Make, server: Server) -> None:
    server.replies["/a.png"] = Reply(body=png())
    for allowed in ("127.0.0.1", server.host):
        image = ImageSource(settings(allowed_image_hosts=(allowed,))).load(f"{server.url}/a.png")
        assert image.pixels.shape == (4, 6, 3)


def test_an_allowed_port_does_not_allow_the_others(settings: Make, listener: Listener) -> None:
    source = ImageSource(settings(allowed_image_hosts=(f"127.0.0.1:{listener.port + 1}",)))
    with pytest.raises(ImageRefusedError):
        source.load(f"http://127.0.0.1:{listener.port}/a.png")
    assert not listener.was_reached()


def test_proxies_of_the_environment_are_not_used(
    settings: Make, server: Server, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{listener.port}")
    server.replies["/a.png"] = Reply(body=png())
    ImageSource(settings(allowed_image_hosts=(server.host,))).load(f"{server.url}/a.png")
    assert not listener.was_reached()


def test_a_name_without_address_is_a_fetch_error(settings: Make) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(ImageFetchError, match="cannot be resolved"):
        ImageSource(settings(), resolver=unknown).load("http://nowhere.example/a.png")
    with pytest.raises(ImageFetchError, match=r"connection to nowhere\.example failed"):
        ImageSource(settings(), resolver=lambda *_: []).load("http://nowhere.example/a.png")


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_is_public_in_the_disguise_of_ipv6(address: ipaddress.IPv4Address) -> None:
    high, low = divmod(int(address), 1 << 16)
    six_to_four = f"2002:{high:x}:{low:x}::1"
    for disguise in (f"::{address}", f"::ffff:{address}", f"64:ff9b::{address}", six_to_four):
        assert not is_public(disguise)


@given(st.ip_addresses())
def test_whatever_python_calls_private_is_not_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or address.is_loopback:
        assert not is_public(str(address))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("minio", ("minio", None)),
        ("Minio:9000", ("minio", 9000)),
        (" images.example:443 ", ("images.example", 443)),
        ("10.0.0.5:80", ("10.0.0.5", 80)),
        ("[::1]:8080", ("::1", 8080)),
    ],
)
def test_allowed_hosts_are_host_or_host_and_port(text: str, host: tuple[str, int | None]) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    "text", ["", "http://minio", "minio/bucket", "a:b", "u@minio", "*.example"]
)
def test_other_allowed_hosts_stop_the_program(text: str, settings: Make) -> None:
    with pytest.raises(SettingsError, match="ALLOWED_IMAGE_HOSTS"):
        settings(allowed_image_hosts=(text,))


def test_an_allowed_host_is_not_allowed_on_another_name() -> None:
    policy = AddressPolicy([("minio", None)], lambda host, port: ["10.0.0.1"])
    assert policy.resolve("MINIO", 9000) == ["10.0.0.1"]
    with pytest.raises(ImageRefusedError):
        policy.resolve("minio.evil.example", 9000)
