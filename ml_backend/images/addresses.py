"""Which addresses an image may be fetched from.

A name is resolved once, every address it has is checked, and the connection is made to a checked
address, so that a name cannot change its mind in between (DNS rebinding).
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable

import httpx

from ml_backend.errors import ImageFetchError, ImageRefusedError, SettingsError

Resolver = Callable[[str, int], list[str]]
"""Host name and port to numeric addresses; raises OSError or UnicodeError."""

Host = tuple[str, int | None]
"""Host name, and port or None for any."""

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NEVER = [
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's host agent, on a public number
        "192.0.0.0/24",  # IETF protocol assignments, Oracle's metadata service among them
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo and other IETF protocol assignments
        "2002::/16",  # 6to4: any IPv4 address in disguise
        "3fff::/20",  # documentation
    )
]


def is_public(address: str) -> bool:
    """Say whether a numeric address belongs to the public internet.

    IPv6 is public within 2000::/3 only: loopback, link-local, unique local, multicast, and every
    way to write an IPv4 address in IPv6 but 6to4 and Teredo (IPv4-mapped, NAT64) lie outside.
    """
    ip = ipaddress.ip_address(address)
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return False
    if ip.is_multicast or ip.is_reserved or not ip.is_global:
        return False
    return not any(ip in network for network in _NEVER if network.version == ip.version)


def resolve_name(host: str, port: int) -> list[str]:
    """Ask the system's resolver; takes as long as ``resolv.conf`` lets it.

    Numbers in any spelling (decimal, octal, hex, short) come back in their usual form.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def parse_host(text: str) -> Host:
    """Parse ``host`` or ``host:port`` of ``ALLOWED_IMAGE_HOSTS`` (IPv6 in brackets).

    Raises:
        SettingsError: It is neither.
    """
    try:
        # An unknown scheme has no default port, so that ":80" and ":443" are kept.
        url = httpx.URL(f"host://{text.strip()}")
    except httpx.InvalidURL:
        url = httpx.URL()
    if (
        not url.host
        or "*" in url.host
        or url.raw_path not in {b"", b"/"}
        or url.userinfo
        or url.fragment
    ):
        raise SettingsError(
            f"ALLOWED_IMAGE_HOSTS: {text!r} is not a host",
            "list host names or host:port, without http:// and path",
        )
    return url.raw_host.decode("ascii").lower(), url.port


class AddressPolicy:
    """Resolves names, and refuses addresses that are not public unless the host is allowed."""

    def __init__(self, allowed: Iterable[Host], resolver: Resolver = resolve_name) -> None:
        self._allowed = frozenset(allowed)
        self._resolver = resolver

    def trusting(self, host: Host) -> "AddressPolicy":
        """Make a policy that allows one more host."""
        return AddressPolicy(self._allowed | {host}, self._resolver)

    def allows(self, host: str, port: int) -> bool:
        """Say whether a host may be connected to whatever its address."""
        return bool({(host.lower(), None), (host.lower(), port)} & self._allowed)

    def resolve(self, host: str, port: int) -> list[str]:
        """Find the numeric addresses to connect to.

        Raises:
            ImageFetchError: The name has no address.
            ImageRefusedError: One of its addresses is not public.
        """
        try:
            addresses = self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise ImageFetchError(
                f"the host name {host} cannot be resolved", "check its spelling and the DNS"
            ) from error
        if not self.allows(host, port):
            for address in addresses:
                self._refuse_if_private(host, port, address)
        return addresses

    def _refuse_if_private(self, host: str, port: int, address: str) -> None:
        if not is_public(address):
            where = host if host == address else f"{host} ({address})"
            raise ImageRefusedError(
                f"{where} is not a public address",
                f"if images shall come from there, add {host}:{port} to ALLOWED_IMAGE_HOSTS; if it"
                " is Label Studio, set LABEL_STUDIO_URL to the address that tasks use",
            )
