"""``python -m ml_backend.serving.healthcheck``: exit 0 if the backend of this container is ready.

Uses only the standard library, because it is started every few seconds.
"""

import base64
import http.client
import os
import sys
from pathlib import Path

_TIMEOUT = 15


def check() -> None:
    """Request ``/readyz`` with the configured login; exit with an error if not ready."""
    user, password = map(_read_setting, ("BASIC_AUTH_USER", "BASIC_AUTH_PASS"))
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=_TIMEOUT)
    try:
        connection.request("GET", "/readyz", headers={"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
    except OSError as error:
        sys.exit(f"not ready: {error}")
    if answer.status != http.client.OK:
        sys.exit(f"not ready: {answer.status} {answer.reason}")


def _read_setting(name: str) -> str:
    """Return a variable of the environment, else the content of its file in ``SECRETS_DIR``."""
    path = Path(os.environ.get("SECRETS_DIR", ""), name.lower())
    return os.environ.get(name) or (path.read_text().strip() if path.is_file() else "")


if __name__ == "__main__":
    check()
