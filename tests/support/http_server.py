"""HTTP servers on loopback that answer as a test tells them."""

import json
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs

HANG_UP = -1
"""In place of a status: the connection ends without an answer."""


@dataclass
class Request:
    """What a client sent.

    Attributes:
        method: ``GET`` and so on.
        path: With the query.
        headers: Names in title case.
        body: Empty where there is none.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def route(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The first value of each name."""
        parsed = parse_qs(self.path.partition("?")[2])
        return {name: values[0] for name, values in parsed.items()}

    def json(self) -> Any:
        """Parse the body."""
        return json.loads(self.body)


@dataclass
class Reply:
    """What a server answers.

    Attributes:
        status: Or ``HANG_UP``.
        body: Of the answer.
        headers: Headers in addition to ``Content-Length``, which they may replace.
        breaks_after: Bytes of the body after which the connection ends; None: it is sent whole.
        tells_length: Whether there is a ``Content-Length``; else the connection's end is the end.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    breaks_after: int | None = None
    tells_length: bool = True


def json_reply(value: Any, status: int = 200) -> Reply:
    """Answer in JSON."""
    return Reply(status, json.dumps(value).encode())


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *args: Any) -> None:
        """Keep quiet of clients that hang up: they are part of the tests."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*args)


class Loopback:
    """A port of loopback that is listened on until ``stop``, or the end of a ``with``.

    Args:
        handler: Of each connection.
        port: 0: a free one.
    """

    def __init__(self, handler: Callable[..., BaseHTTPRequestHandler], port: int = 0) -> None:
        self.http = _HttpServer(("127.0.0.1", port), handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return self.http.server_port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Server(Loopback):
    """Answers each path (without query) as told, 404 otherwise, and remembers the requests."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.replies: dict[str, Reply | Callable[[Request], Reply]] = {}
        self.raw: dict[str, Callable[[socket.socket], None]] = {}
        self.stopping = threading.Event()
        super().__init__(partial(_Handler, self), port)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def reply(self, request: Request) -> Reply:
        """Answer a request; what a stand-in for a certain service overrides."""
        told = self.replies.get(request.route, Reply(404))
        return told(request) if callable(told) else told

    def hang(self, _connection: socket.socket) -> None:
        """Answer nothing, as a value of ``raw``."""
        self.stopping.wait()

    def stop(self) -> None:
        self.stopping.set()
        super().stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, owner: Server, *args: Any) -> None:
        self.owner = owner
        super().__init__(*args)

    def do_GET(self) -> None:
        headers = {name.title(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, headers, body)
        self.owner.requests.append(request)
        if answer := self.owner.raw.get(request.route):
            self.close_connection = True
            answer(self.connection)
        else:
            self._send(self.owner.reply(request))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _send(self, reply: Reply) -> None:
        if reply.status == HANG_UP:
            self.close_connection = True
            return
        self.send_response(reply.status)
        length = {"Content-Length": str(len(reply.body))} if reply.tells_length else {}
        for name, value in (length | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[: reply.breaks_after])
        if reply.breaks_after is not None or not reply.tells_length:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Listener:
    """A port on every loopback address that tells whether anyone ever connected."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    def was_reached(self) -> bool:
        try:
            self._socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()
