"""An HTTP server on loopback that answers in JSON, for twins of other people's servers."""

import json
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request.

    Attributes:
        method: ``GET`` and so on.
        path: Without the query.
        query: The first value of each name.
        authorization: The header; may be empty.
        body: From JSON; None where there is none.
    """

    method: str
    path: str
    query: dict[str, str]
    authorization: str
    body: Any


HANG_UP = -1
"""In place of a status: the connection ends without an answer."""


class JsonServer(ABC):
    """Listens from its making on until ``stop``."""

    def __init__(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                sent = self.rfile.read(int(self.headers["Content-Length"] or 0))
                body = json.loads(sent) if sent else None
                access = self.headers["Authorization"] or ""
                status, answer = server.reply(Asked(self.command, parts.path, query, access, body))
                if status == HANG_UP:
                    self.close_connection = True
                    return
                encoded = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            do_POST = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    @abstractmethod
    def reply(self, asked: Asked) -> tuple[int, Any]:
        """Status and answer; None: an empty one."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
