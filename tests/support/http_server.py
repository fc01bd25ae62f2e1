"""HTTP servers on loopback that answer as a test tells them."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What the server answers."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *args: Any) -> None:
        """Clients that hang up are part of the tests."""


class Server:
    """Answers each path (without query) as told, 404 otherwise, and remembers the requests."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.replies: dict[str, Reply | Callable[[Request], Reply]] = {}
        self.raw: dict[str, Callable[[socket.socket], None]] = {}
        self.stopping = threading.Event()
        self.http = _HttpServer(("127.0.0.1", port), self._handler())
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def port(self) -> int:
        return self.http.server_port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def hang(self, _connection: socket.socket) -> None:
        """Answer nothing, as a value of ``raw``."""
        self.stopping.wait()

    def stop(self) -> None:
        self.stopping.set()
        self.http.shutdown()
        self.http.server_close()

    def _handler(server: "Server") -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                request = Request(
                    self.command,
                    self.path,
                    {name.title(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
                server.requests.append(request)
                path = self.path.partition("?")[0]
                if path in server.raw:
                    self.close_connection = True
                    server.raw[path](self.connection)
                    return
                reply = server.replies.get(path, Reply(404))
                self._send(reply(request) if callable(reply) else reply)

            do_POST = do_GET  # noqa: N815

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                headers = {"Content-Length": str(len(reply.body))} | reply.headers
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


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
