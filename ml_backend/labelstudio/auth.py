"""The two kinds of Label Studio token, as httpx takes them."""

import time
from collections.abc import Generator

import httpx

from ml_backend.errors import LabelStudioError

RENEW_SECONDS = 240
"""Access tokens live 300 s; the rest is left for long requests."""

_REFRESH = "/api/token/refresh/"


def is_personal(token: str) -> bool:
    """Whether a token is a personal access token (a JWT) and not a legacy one (40 hex digits)."""
    return token.count(".") == 2


def authorization(token: str) -> httpx.Auth:
    """What signs requests with a token of either kind."""
    return PersonalAccessToken(token) if is_personal(token) else LegacyToken(token)


class LegacyToken(httpx.Auth):
    """Is sent as it is."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request."""
        request.headers["Authorization"] = f"Token {self._token}"
        yield request


class PersonalAccessToken(httpx.Auth):
    """Is good for one thing only: to be exchanged for an access token, again and again."""

    requires_response_body = True

    def __init__(self, token: str) -> None:
        self._token = token
        self._access = ""
        self._renew_at = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request; a token that is refused is renewed once.

        Raises:
            LabelStudioError: Label Studio gives no access token.
        """
        if time.monotonic() >= self._renew_at:
            yield from self._renew(request.url)
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield from self._renew(request.url)
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _renew(self, url: httpx.URL) -> Generator[httpx.Request, httpx.Response, None]:
        prefix = url.path.partition("/api/")[0]
        response = yield httpx.Request(
            "POST", url.copy_with(path=prefix + _REFRESH, query=None), json={"refresh": self._token}
        )
        try:
            self._access = str(response.raise_for_status().json()["access"])
        except (httpx.HTTPStatusError, ValueError, LookupError, TypeError):
            raise LabelStudioError(
                "Label Studio does not take the personal access token "
                f"(HTTP {response.status_code})",
                "it is revoked or expired; make one in Account & Settings",
                response.status_code,
            ) from None
        self._renew_at = time.monotonic() + RENEW_SECONDS
