"""gcp-storage-emulator over HTTP, and in front of it what the emulator leaves out.

That is: OAuth tokens for a service account, permissions, generation preconditions, pages of
listings, signed URLs whose signature counts, and faults. The client is google-cloud-storage.
"""

import base64
import hashlib
import io
import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gcp_storage_emulator.server import (  # type: ignore[import-untyped]
    RequestHandler,
    Router,
)
from gcp_storage_emulator.storage import Storage  # type: ignore[import-untyped]
from google.auth import crypt, jwt

from tests.support.http_server import Loopback

EMAIL = "labels@runway-project.iam.gserviceaccount.com"
PROJECT = "runway-project"
ALL_PERMISSIONS = frozenset(
    {f"storage.buckets.{verb}" for verb in ("create", "get", "update")}
    | {f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list")}
)

_PAGE = 500
_BUCKET = re.compile(r"/storage/v1/b/([^/]+)")
_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o")
_LIST = re.compile(r"/storage/v1/b/([^/]+)/o")
_TEST_PERMISSIONS = re.compile(r"/storage/v1/b/[^/]+/iam/testPermissions")


class Key:
    """A service account's key pair."""

    def __init__(self) -> None:
        private = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        self.public_pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.private_pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    def file(self, token_uri: str, **changes: str) -> dict[str, str]:
        """What Google lets people download."""
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": self.private_pem,
            "client_email": EMAIL,
            "token_uri": token_uri,
            **changes,
        }


class _MemoryStorage(Storage):  # type: ignore[misc]
    def _write_config_to_file(self) -> None:
        """Write nothing: the emulator would write all that it knows after each request."""


Fault = Callable[[str, str], int | None]
"""Method and path of a request to the status that it gets instead of an answer, if any."""

Query = dict[str, list[str]]


class GcsServer(Loopback):
    """A Google Cloud Storage on loopback.

    Attributes:
        key: The key that tokens are checked with.
        signing_key: The one that signed URLs are checked with; the same at first.
        permissions: What the service account may do.
        tokens: Those that are valid.
        expired: Whether tokens are not valid, not even new ones.
        key_deleted: Whether Google knows the key no longer.
        fault: Asked before each request to the bucket; what it refuses is not done.
        lost_answer: Called with each request; the work of those it selects is done, without an
            answer.
        writes: How often each object was written.
        requests: Method and path of all requests to the bucket.
        created: Bodies of the requests that created buckets.
    """

    def __init__(self, key: Key) -> None:
        self.key = self.signing_key = key
        self.storage = _MemoryStorage(use_memory_fs=True)
        self.permissions: frozenset[str] = ALL_PERMISSIONS
        self.tokens: set[str] = set()
        self.expired = False
        self.key_deleted = False
        self.fault: Fault = lambda _method, _path: None
        self.lost_answer: Fault = lambda _method, _path: None
        self.writes: Counter[str] = Counter()
        self.requests: list[tuple[str, str]] = []
        self.created: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        super().__init__(partial(_Handler, self))

    @property
    def key_file(self) -> dict[str, str]:
        return self.key.file(f"{self.url}/token")

    @property
    def variables(self) -> dict[str, str]:
        """What programs must have in their environment to use it.

        google-auth asks iamcredentials.googleapis.com of each account, in the background and
        whatever the bucket's address; a proxy that is not there keeps that on this machine.
        """
        line = base64.b64encode(json.dumps(self.key_file).encode()).decode()
        return {
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "TRUST_PROXY_ENV": "true",
            "STORAGE_EMULATOR_HOST": self.url,
            "GOOGLE_APPLICATION_CREDENTIALS_BASE64": line,
        }

    def add_bucket(self, name: str) -> None:
        self.storage.create_bucket(name, {"name": name, "metageneration": "1"})

    def content(self, bucket: str) -> dict[str, bytes]:
        """The objects of a bucket."""
        return {
            name: self.storage.get_file(bucket, name)
            for name in self.storage.objects.get(bucket, ())
        }


class _Handler(RequestHandler):  # type: ignore[misc]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rfile: Any
    wfile: Any

    def __init__(self, front: GcsServer, *args: Any) -> None:
        self.front = front
        super().__init__(front.storage, *args)

    def _serve(self) -> None:
        method = self.command
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        if path == "/token":
            return self._token(parse_qs(body.decode())["assertion"][0])
        self.front.requests.append((method, path))
        if "X-Goog-Signature" in query and not self._signed(query["X-Goog-Signature"][0]):
            return self._reply(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if "X-Goog-Signature" not in query and not self._has_token():
            return self._fail(401, "Invalid Credentials")
        if status := self.front.fault(method, path):
            return self._fail(status, f"fault {status}")
        if _TEST_PERMISSIONS.fullmatch(path):
            held = self.front.permissions & set(query["permissions"])
            return self._reply(200, {"permissions": sorted(held)})
        needed = _permission(method, path)
        if needed not in self.front.permissions:
            return self._fail(
                403,
                f"{EMAIL} does not have {needed} access to the Google Cloud Storage bucket. "
                f"Permission '{needed}' denied on resource (or it may not exist).",
            )
        if status := self.front.lost_answer(method, path):
            self._work_unheard(method, path, query, body)
            return self._fail(status, "the answer got lost")
        with self.front.lock:
            return self._pass_on(method, path, query, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def _work_unheard(self, method: str, path: str, query: Query, body: bytes) -> None:
        socket_file, self.wfile = self.wfile, io.BytesIO()
        try:
            with self.front.lock:
                self._pass_on(method, path, query, body)
        finally:
            self.wfile = socket_file

    def _pass_on(self, method: str, path: str, query: Query, body: bytes) -> None:
        if method == "GET" and (listed := _LIST.fullmatch(path)):
            return self._list(listed[1], query)
        upload = _UPLOAD.fullmatch(path)
        if upload and "upload_id" not in query:  # else a part of a large object, already admitted
            name = _object_name(body, query)
            if not self._generation_matches(upload[1], name, query):
                return self._fail(412, "At least one of the pre-conditions did not hold.")
            self.front.writes[f"{upload[1]}/{name}"] += 1
        if (method, path) == ("POST", "/storage/v1/b"):
            self.front.created.append(json.loads(body))
        socket_file, self.rfile = self.rfile, io.BytesIO(body)
        try:
            Router(self).handle(method)
        finally:
            self.rfile = socket_file
        return None

    def _generation_matches(self, bucket: str, name: str, query: Query) -> bool:
        found = self.storage.objects.get(bucket, {}).get(name, {"generation": "0"})
        return "ifGenerationMatch" not in query or query["ifGenerationMatch"] == [
            found["generation"]
        ]

    def _list(self, bucket: str, query: Query) -> None:
        if bucket not in self.storage.buckets:
            return self._fail(404, "The specified bucket does not exist.")
        found, _ = self.storage.get_file_list(bucket, query.get("prefix", [None])[0])
        begin = int(query.get("pageToken", ["0"])[0])
        page: dict[str, Any] = {"items": found[begin : begin + _PAGE]}
        if begin + _PAGE < len(found):
            page["nextPageToken"] = str(begin + _PAGE)
        return self._reply(200, page)

    def _token(self, assertion: str) -> None:
        try:
            jwt.decode(assertion, certs=self.front.key.public_pem)
        except ValueError:
            signed = False
        else:
            signed = not self.front.key_deleted
        if not signed:
            error = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return self._reply(400, error)
        token = secrets.token_hex(8)
        if not self.front.expired:
            self.front.tokens.add(token)
        return self._reply(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _has_token(self) -> bool:
        return self.headers.get("Authorization", "").removeprefix("Bearer ") in self.front.tokens

    def _signed(self, signature: str) -> bool:
        """Source: https://cloud.google.com/storage/docs/authentication/canonical-requests"""
        path, _, query = self.path.partition("?")
        query = query.partition("&X-Goog-Signature")[0]
        request = f"GET\n{path}\n{query}\nhost:{self.headers['Host']}\n\nhost\nUNSIGNED-PAYLOAD"
        values = parse_qs(query)
        text = "\n".join(
            (
                values["X-Goog-Algorithm"][0],
                values["X-Goog-Date"][0],
                values["X-Goog-Credential"][0].partition("/")[2],
                hashlib.sha256(request.encode()).hexdigest(),
            )
        )
        return bool(
            crypt.verify_signature(
                text, bytes.fromhex(signature), self.front.signing_key.public_pem
            )
        )

    def _fail(self, status: int, message: str) -> None:
        self._reply(status, {"error": {"code": status, "message": message}})

    def _reply(self, status: int, value: dict[str, Any] | bytes) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _permission(method: str, path: str) -> str:
    """What a request needs."""
    if path == "/storage/v1/b":
        return "storage.buckets.create"
    if _UPLOAD.fullmatch(path):
        return "storage.objects.create"
    if _LIST.fullmatch(path):
        return "storage.objects.list"
    if _BUCKET.fullmatch(path):
        return "storage.buckets.get" if method == "GET" else "storage.buckets.update"
    return "storage.objects.delete" if method == "DELETE" else "storage.objects.get"


def _object_name(body: bytes, query: Query) -> str:
    """The name of the object that an upload begins, from its metadata."""
    if query["uploadType"] == ["multipart"]:
        body = body.split(b"\r\n\r\n", 2)[1].partition(b"\r\n")[0]
    return str(json.loads(body)["name"])
