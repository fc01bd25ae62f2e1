"""``python -m ml_backend.serving.healthcheck``: exit 0 when the backend of this container is ready.

The standard library alone, for this is started every few seconds.
"""

import base64
import http.client
import os
import sys
from pathlib import Path

_TIMEOUT = 15


def check() -> None:
    """Ask ``/readyz`` with the login that the backend's variables name; end the program if not."""
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
    """From the environment, else from the file in ``SECRETS_DIR``."""
    path = Path(os.environ.get("SECRETS_DIR", ""), name.lower())
    return os.environ.get(name) or (path.read_text().strip() if path.is_file() else "")


if __name__ == "__main__":
    check()
