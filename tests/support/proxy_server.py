"""A proxy on loopback: tunnels with CONNECT, to where a test says."""

import socket
import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.http_server import Loopback


class ProxyServer(Loopback):
    """Connects every target to one place, and remembers what it was asked.

    Args:
        connects_to: Host and port that a target leads to; None: it is refused with 403.

    Attributes:
        targets: Host and port of each tunnel, as text.
        logins: ``Proxy-Authorization`` of each.
    """

    def __init__(self, connects_to: Callable[[str], tuple[str, int] | None]) -> None:
        self.connects_to = connects_to
        self.targets: list[str] = []
        self.logins: list[str | None] = []
        super().__init__(partial(_Handler, self))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, owner: ProxyServer, *args: Any) -> None:
        self.owner = owner
        super().__init__(*args)

    def do_CONNECT(self) -> None:
        self.close_connection = True
        self.owner.targets.append(self.path)
        self.owner.logins.append(self.headers.get("Proxy-Authorization"))
        place = self.owner.connects_to(self.path)
        if place is None:
            self.send_error(403)
            return
        with socket.create_connection(place, timeout=60) as target:
            self.send_response(200, "Connection established")
            self.end_headers()
            back = threading.Thread(target=_copy, args=(target, self.connection), daemon=True)
            back.start()
            _copy(self.connection, target)
            back.join()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return
