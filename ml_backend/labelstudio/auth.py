"""Authorization headers from both kinds of Label Studio token."""

import json
import threading
import time
from collections.abc import Callable, Generator

import httpx

from ml_backend.errors import LabelStudioError

REFRESH_PATH = "/api/token/refresh/"
RENEW_SECONDS = 240
"""Seconds until an access token is renewed; they live 300 s, the margin is for long requests."""


def is_personal(token: str) -> bool:
    """Return whether a token is a personal access token (a JWT), not a legacy one (40 digits)."""
    return token.count(".") == 2


class TokenSource(httpx.Auth):
    """Source of Authorization headers, also usable as httpx auth. Thread-safe.

    A legacy token is sent as it is. A personal access token is exchanged for an access token,
    which is cached and renewed in time.

    Args:
        token: Legacy or personal access token; empty: ``authorization`` returns an empty value.
    """

    requires_response_body = True

    def __init__(self, token: str) -> None:
        self._token = token
        self._lock = threading.Lock()
        self._header = f"Token {token}" if token else ""
        self._renew_at = 0.0 if is_personal(token) else float("inf")

    def authorization(
        self, exchange: Callable[[bytes], bytes], seconds: float, rejected: str = ""
    ) -> str:
        """Return the value of the header; empty without a token.

        Args:
            exchange: Posts a JSON body to ``REFRESH_PATH`` and returns the response body.
            seconds: Maximum time in seconds to wait for another thread's exchange.
            rejected: Value returned before, to which Label Studio responded with 401.

        Raises:
            TimeoutError: Another thread's exchange took longer.
            ValueError: The response contains no access token.
        """
        if not is_personal(self._token):
            return self._header
        if not self._lock.acquire(timeout=seconds):
            raise TimeoutError
        try:
            if self._is_due() or rejected == self._header:
                self._renew(exchange(self._refresh_body()))
            return self._header
        finally:
            self._lock.release()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request; renew a rejected access token once.

        Raises:
            LabelStudioError: Label Studio returns no access token.
        """
        if self._is_due():
            yield from self._exchange(request.url)
        request.headers["Authorization"] = self._header
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED and is_personal(self._token):
            yield from self._exchange(request.url)
            request.headers["Authorization"] = self._header
            yield request

    def _exchange(self, url: httpx.URL) -> Generator[httpx.Request, httpx.Response, None]:
        path = url.path.partition("/api/")[0] + REFRESH_PATH
        response = yield httpx.Request(
            "POST",
            url.copy_with(path=path, query=None),
            content=self._refresh_body(),
            headers={"Content-Type": "application/json"},
        )
        try:
            self._renew(response.raise_for_status().content)
        except (httpx.HTTPStatusError, ValueError):
            raise LabelStudioError(
                f"Label Studio rejected the personal access token (HTTP {response.status_code})",
                "it is revoked or expired; create one in Account & Settings",
                response.status_code,
            ) from None

    def _is_due(self) -> bool:
        return time.monotonic() >= self._renew_at

    def _refresh_body(self) -> bytes:
        return json.dumps({"refresh": self._token}, separators=(",", ":")).encode()

    def _renew(self, answer: bytes) -> None:
        try:
            self._header = f"Bearer {json.loads(answer)['access']}"
        except (LookupError, TypeError) as error:
            raise ValueError("no access token") from error
        self._renew_at = time.monotonic() + RENEW_SECONDS
