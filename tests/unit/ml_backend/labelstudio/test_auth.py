import httpx
import pytest

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.auth import RENEW_SECONDS, TokenSource

PERSONAL = "header.payload.signature"


class Server:
    """Gives access tokens for the personal one, and takes only the last that it gave."""

    def __init__(self) -> None:
        self.given = 0
        self.paths: list[str] = []
        self.revoked = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        if request.url.path.endswith("/api/token/refresh/"):
            if self.revoked or request.content != b'{"refresh":"header.payload.signature"}':
                return httpx.Response(401, json={"detail": "Token is blacklisted"})
            self.given += 1
            return httpx.Response(200, json={"access": f"access-{self.given}"})
        right = request.headers["Authorization"] == f"Bearer access-{self.given}"
        return httpx.Response(200 if right else 401)

    def client(self, base: str = "http://ls") -> httpx.Client:
        transport = httpx.MockTransport(self)
        return httpx.Client(base_url=base, auth=TokenSource(PERSONAL), transport=transport)


def test_a_personal_token_is_exchanged_once_for_many_requests() -> None:
    server = Server()
    with server.client() as client:
        assert [client.get("/api/projects").status_code for _ in range(3)] == [200] * 3
    assert server.given == 1


def test_an_access_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    server, now = Server(), [1000.0]
    monkeypatch.setattr("ml_backend.labelstudio.auth.time.monotonic", lambda: now[0])
    with server.client() as client:
        client.get("/api/projects")
        now[0] += RENEW_SECONDS
        assert client.get("/api/projects").status_code == 200
    assert server.given == 2


def test_an_access_token_that_is_refused_is_renewed_once() -> None:
    server = Server()
    with server.client() as client:
        client.get("/api/projects")
        server.given += 1  # the one that the client has is no longer taken
        assert client.get("/api/projects").status_code == 200


def test_a_revoked_token_is_told_and_not_asked_for_ever() -> None:
    server = Server()
    server.revoked = True
    with server.client() as client, pytest.raises(LabelStudioError, match="HTTP 401") as caught:
        client.get("/api/projects")
    assert "Account & Settings" in caught.value.hint
    assert len(server.paths) == 1


def test_below_a_path_the_token_is_exchanged_there_too() -> None:
    server = Server()
    with server.client("http://ls/studio") as client:
        client.get("/api/projects", params={"page": 1})
    assert server.paths == ["/studio/api/token/refresh/", "/studio/api/projects"]


def test_a_legacy_token_is_sent_as_it_is() -> None:
    flow = TokenSource("0" * 40).auth_flow(httpx.Request("GET", "http://ls"))
    assert next(flow).headers["Authorization"] == f"Token {'0' * 40}"
