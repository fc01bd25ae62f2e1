"""An image that containers fetch from the test, which decides when they get it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

from tests.support.stack import docker

HOST = "host.docker.internal"
"""Name of this machine in the containers, by tests/containers/docker-compose.yml."""


class HeldImage:
    """A web server whose image is sent when ``release`` is set.

    Attributes:
        url: As containers reach it; each path is the same picture.
        asked_by: Addresses of those who asked for it, in order.
        release: Until this is set, they wait.
    """

    def __init__(self, address: str, content: bytes) -> None:
        self.asked_by: SimpleQueue[str] = SimpleQueue()
        self.release = threading.Event()
        held = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                held.asked_by.put(self.client_address[0])
                held.release.wait(timeout=60)
                self.send_response(200)
                self.send_header("Content-Type", "image/jpeg")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """End it; who still waits gets the image."""
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def held_image(path: Path) -> Iterator[HeldImage]:
    """Serve a JPEG file where containers reach this machine."""
    gateway = docker(
        "network", "inspect", "bridge", "--format", "{{ (index .IPAM.Config 0).Gateway }}"
    )
    image = HeldImage(gateway.strip(), path.read_bytes())
    try:
        yield image
    finally:
        image.stop()
