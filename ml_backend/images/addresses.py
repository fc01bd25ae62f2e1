"""Which network addresses an image may be fetched from.

A name is resolved once, each of its addresses is checked, and the connection goes to a checked
address, so a second DNS answer cannot redirect it to a private one (DNS rebinding).
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable

import httpx

from ml_backend.errors import ImageFetchError, ImageRefusedError, SettingsError

Resolver = Callable[[str, int], list[str]]
"""Resolves host name and port to numeric addresses; raises OSError or UnicodeError."""

Host = tuple[str, int | None]
"""Host name, and port; a port of None matches any."""

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NEVER = [
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's host agent, on a public number
        "192.0.0.0/24",  # IETF protocol assignments, Oracle's metadata service among them
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo and other IETF protocol assignments
        "2002::/16",  # 6to4: embeds any IPv4 address
        "3fff::/20",  # documentation
    )
]


def is_public(address: str) -> bool:
    """Return whether a numeric address belongs to the public internet.

    Only 2000::/3 is public in IPv6: loopback, link-local, unique local, multicast and every IPv4
    address written as IPv6 lie outside it, except 6to4 and Teredo.
    """
    ip = ipaddress.ip_address(address)
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return False
    if ip.is_multicast or ip.is_reserved or not ip.is_global:
        return False
    return not any(ip in network for network in _NEVER if network.version == ip.version)


def resolve_name(host: str, port: int) -> list[str]:
    """Resolve a name with the system's resolver, within the time that ``resolv.conf`` allows.

    Numeric addresses in any notation (decimal, octal, hex, short) are returned in the usual form.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def parse_host(text: str) -> Host:
    """Parse ``host`` or ``host:port`` of ``ALLOWED_IMAGE_HOSTS`` (IPv6 in brackets).

    Raises:
        SettingsError: The text is not a host or ``host:port``.
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
    """Resolves names, and refuses non-public addresses unless the host is allowed."""

    def __init__(self, allowed: Iterable[Host], resolver: Resolver = resolve_name) -> None:
        self._allowed = frozenset(allowed)
        self._resolver = resolver

    def trusting(self, host: Host) -> "AddressPolicy":
        """Return a policy that allows one more host."""
        return AddressPolicy(self._allowed | {host}, self._resolver)

    def allows(self, host: str, port: int) -> bool:
        """Return whether a host may be contacted regardless of its address."""
        return bool({(host.lower(), None), (host.lower(), port)} & self._allowed)

    def resolve(self, host: str, port: int) -> list[str]:
        """Return the numeric addresses to connect to.

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
