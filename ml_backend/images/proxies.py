"""Tunnels through a proxy: ``CONNECT``, as RFC 9110 describes it."""

import base64
from collections.abc import Iterable
from ssl import SSLContext

import h11
import httpcore
import httpx

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageFetchError
from ml_backend.images.addresses import AddressPolicy
from ml_backend.images.connections import DeadlineStream

_MOST_BYTES = 1 << 16


class TunnelBackend(httpcore.NetworkBackend):
    """Network backend that connects through a proxy, which is sent only checked addresses.

    Hosts that the policy allows regardless of their address are sent by name.
    """

    def __init__(
        self, policy: AddressPolicy, deadline: Deadline, proxy: httpx.URL, tls: SSLContext
    ) -> None:
        self._policy = policy
        self._deadline = deadline
        self._proxy = proxy
        self._tls = tls
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to ``host`` through the proxy."""
        address = host if self._policy.allows(host, port) else self._checked(host, port)
        proxy_port = self._proxy.port or (443 if self._proxy.scheme == "https" else 80)
        wait = self._deadline.cap(timeout)
        stream = self._sockets.connect_tcp(
            self._proxy.host, proxy_port, wait, local_address, socket_options
        )
        bounded = DeadlineStream(stream, self._deadline)
        return _open_tunnel(bounded, self._proxy, (address, port), self._tls, timeout)

    def _checked(self, host: str, port: int) -> str:
        try:
            return self._policy.resolve(host, port)[0]
        except ImageFetchError as error:
            error.hint = f"to leave the name to the proxy, add {host} to ALLOWED_IMAGE_HOSTS"
            raise
        except IndexError:
            raise httpcore.ConnectError("the name has no address") from None


def _open_tunnel(
    stream: httpcore.NetworkStream,
    proxy: httpx.URL,
    target: tuple[str, int],
    tls: SSLContext,
    timeout: float | None,
) -> httpcore.NetworkStream:
    """Ask the proxy to connect the stream to a target.

    Args:
        stream: Stream connected to the proxy.
        proxy: Address of the proxy, with user name and password if it requires them.
        target: Target host, as a name or a number, and port.
        tls: TLS context for an ``https://`` proxy.
        timeout: Time limit of each wait in seconds.

    Raises:
        httpcore.NetworkError: The proxy refuses, or does not speak HTTP.
    """
    if proxy.scheme == "https":
        stream = stream.start_tls(tls, proxy.host, timeout)
    host, port = target
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_BYTES)
    request = h11.Request(
        method="CONNECT", target=authority, headers=[("Host", authority), *_login(proxy)]
    )
    stream.write(connection.send(request) or b"", timeout)
    try:
        response = _response(stream, connection, timeout)
    except h11.ProtocolError:
        raise httpcore.NetworkError(f"the proxy {proxy.host} does not speak HTTP") from None
    if response.status_code // 100 != 2:
        raise httpcore.NetworkError(f"the proxy {proxy.host} answers HTTP {response.status_code}")
    return stream


def _login(proxy: httpx.URL) -> list[tuple[str, str]]:
    if not proxy.userinfo:
        return []
    login = f"{proxy.username}:{proxy.password}".encode()
    return [("Proxy-Authorization", f"Basic {base64.b64encode(login).decode()}")]


def _response(
    stream: httpcore.NetworkStream, connection: h11.Connection, timeout: float | None
) -> h11.Response:
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            return event
        if event is h11.NEED_DATA:
            connection.receive_data(stream.read(_MOST_BYTES, timeout))
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("the connection ended")
