"""A web server with files, ranges, redirects, and the faults of real ones."""

import re
import threading
from dataclasses import dataclass

from tests.support.http_server import Reply, Request, Server


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


class FileServer(Server):
    """What a test prepares and sees.

    Attributes:
        files: Path to content.
        redirects: Path to path.
        faults: Of the next answers; None is none.
        knows_ranges: Whether parts can be had.
        tells_length: Whether answers have a ``Content-Length``.
        may_answer: Cleared, answers wait.
        sent: Bytes of files.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.faults: list[Fault | None] = []
        self.knows_ranges = self.tells_length = True
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.sent = 0
        super().__init__()

    @property
    def asked(self) -> list[tuple[str, str | None]]:
        """Path and ``Range`` of every request, redirected ones once more."""
        return [(request.path, request.headers.get("Range")) for request in self.requests]

    def reply(self, request: Request) -> Reply:
        assert self.may_answer.wait(30)
        if target := self.redirects.get(request.path):
            return Reply(302, headers={"Location": target})
        fault = (self.faults.pop(0) if self.faults else None) or Fault()
        content = self.files.get(request.path)
        if fault.status or content is None:
            return Reply(fault.status or 404)
        first = self._first_byte(request.headers.get("Range", ""))
        if first >= len(content) > 0:
            return Reply(416)
        body = content[first:]
        if fault.changes:
            body = bytes([body[0] ^ 1]) + body[1:]
        self.sent += len(body[: fault.breaks_after])
        headers = {}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        status = 206 if first else 200
        return Reply(status, body, headers, fault.breaks_after, self.tells_length)

    def _first_byte(self, wanted: str) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", wanted)
        return int(match[1]) if match and self.knows_ranges else 0
