"""The two kinds of Label Studio token, behind one Authorization header.

As ``label_studio_auth`` does it for whole clients; here a request's deadline holds for the exchange
too, and the header goes to media paths alone.
"""

import threading
import time
from collections.abc import Callable

from pydantic import SecretStr

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageFetchError
from ml_backend.labelstudio.auth import RENEW_SECONDS, is_personal


class ApiKey:
    """Makes Authorization headers. Safe for many threads.

    A legacy token (40 hex digits) is sent as it is. A personal access token is a JWT that Label
    Studio takes for one thing only: in exchange for an access token, which many threads share.
    """

    def __init__(self, key: SecretStr | None, exchange: Callable[[str, Deadline], str]) -> None:
        self._key = key.get_secret_value() if key else ""
        self._exchange = exchange
        self._lock = threading.Lock()
        self._access_token = ""
        self._renew_at = 0.0

    def authorization(self, deadline: Deadline, rejected: str = "") -> str:
        """Give the header's value, empty where there is no key.

        Args:
            deadline: When an exchange must be over.
            rejected: A value given before, which Label Studio has answered with 401.
        """
        if not is_personal(self._key):
            return f"Token {self._key}" if self._key else ""
        if not self._lock.acquire(timeout=deadline.remaining()):
            raise ImageFetchError("Label Studio took too long to renew the access token")
        try:
            if time.monotonic() >= self._renew_at or rejected == f"Bearer {self._access_token}":
                self._access_token = self._exchange(self._key, deadline)
                self._renew_at = time.monotonic() + RENEW_SECONDS
            return f"Bearer {self._access_token}"
        finally:
            self._lock.release()
