"""A web server with files, ranges, redirects, and the faults of real ones."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    Attributes:
        status: Given instead of the file.
        breaks_after: Bytes of the body after which the connection ends.
        changes: The first byte is another.
    """

    status: int | None = None
    breaks_after: int | None = None
    changes: bool = False


@dataclass
class FileServer:
    """What a test prepares and sees.

    Attributes:
        files: Path to content.
        redirects: Path to path.
        faults: Of the next answers; None is none.
        knows_ranges: Whether parts can be had.
        tells_length: Whether answers have a ``Content-Length``.
        may_answer: Cleared, answers wait.
        asked: Path and ``Range`` of every request, redirected ones once more.
        sent: Bytes of files.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    faults: list[Fault | None] = field(default_factory=list)
    knows_ranges: bool = True
    tells_length: bool = True
    may_answer: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent: int = 0
    url: str = ""


@contextmanager
def serving() -> Iterator[FileServer]:
    """Run a server on a free port of this machine."""
    state = FileServer()
    state.may_answer.set()

    class Handler(_Handler):
        server_state = state

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: FileServer

    def do_GET(self) -> None:
        state = self.server_state
        state.asked.append((self.path, self.headers["Range"]))
        assert state.may_answer.wait(30)
        if target := state.redirects.get(self.path):
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        fault = (state.faults.pop(0) if state.faults else None) or Fault()
        content = state.files.get(self.path)
        if fault.status or content is None:
            self.send_error(fault.status or 404)
            return
        first = self._first_byte(len(content))
        if first >= len(content) > 0:
            self.send_error(416)
            return
        body = content[first:]
        if fault.changes:
            body = bytes([body[0] ^ 1]) + body[1:]
        self._send(body, first, len(content), fault.breaks_after)

    def _first_byte(self, size: int) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        return int(match[1]) if match and self.server_state.knows_ranges else 0

    def _send(self, body: bytes, first: int, size: int, breaks_after: int | None) -> None:
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        if self.server_state.tells_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        part = body[:breaks_after]
        self.wfile.write(part)
        self.server_state.sent += len(part)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
