"""As much of Google Cloud as the startup script asks for, from a folder; runs inside the machine.

The folder: ``attributes/NAME`` are the machine's metadata, ``objects/BUCKET/NAME`` what lies in
buckets, ``secrets/NAME/VERSION`` the secrets, ``refused/NAME`` names those not to be read,
``busy/NAME`` those that cannot be read the next time.
"""

import base64
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

FOLDER = Path(sys.argv[1])
TOKEN = (FOLDER / "token").read_text()
METADATA = "/computeMetadata/v1/instance/"


class Metadata(BaseHTTPRequestHandler):
    """http://metadata.google.internal: answers only those who send its header."""

    def do_GET(self) -> None:
        if self.headers.get("Metadata-Flavor") != "Google":
            return self.answer(403, b"")
        path = self.path.removeprefix(METADATA)
        if path == "service-accounts/default/token":
            return self.answer(200, json.dumps({"access_token": TOKEN}).encode())
        return self.file(FOLDER / path)

    def file(self, path: Path) -> None:
        self.answer(200, path.read_bytes()) if path.is_file() else self.answer(404, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Google(Metadata):
    """The HTTPS APIs of Cloud Storage and Secret Manager: answer the machine's token alone."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, b"{}")
        if path.startswith("/storage/v1/b/"):
            bucket, name = path.removeprefix("/storage/v1/b/").split("/o/")
            return self.file(FOLDER / "objects" / bucket / unquote(name))
        return self.secret(path.removesuffix("/versions/latest:access"))

    def secret(self, name: str) -> None:
        folder = FOLDER / "secrets" / Path(name).name
        if (FOLDER / "refused" / folder.name).exists():
            return self.answer(403, b"{}")
        if (busy := FOLDER / "busy" / folder.name).exists():
            busy.unlink()
            return self.answer(503, b'{"error": {"status": "UNAVAILABLE"}}')
        if not (versions := sorted(folder.iterdir())):
            return self.answer(404, b"{}")
        data = base64.b64encode(versions[-1].read_bytes()).decode()
        return self.answer(200, json.dumps({"payload": {"data": data}}).encode())

    def do_POST(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, b"{}")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        folder = FOLDER / "secrets" / Path(self.path.removesuffix(":addVersion")).name
        new = folder / str(len(list(folder.iterdir())) + 1)
        new.write_bytes(base64.b64decode(body["payload"]["data"], validate=True))
        return self.answer(200, b"{}")


plain = ThreadingHTTPServer(("127.0.0.1", 80), Metadata)
secure = ThreadingHTTPServer(("127.0.0.1", 443), Google)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(FOLDER / "cloud.pem")
secure.socket = context.wrap_socket(secure.socket, server_side=True)
threading.Thread(target=plain.serve_forever).start()
secure.serve_forever()
