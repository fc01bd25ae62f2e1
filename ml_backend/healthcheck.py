"""``python -m ml_backend.healthcheck``: exit 0 when the backend of this container is ready.

The standard library alone, for this is started every few seconds.
"""

import base64
import http.client
import os
import sys

_TIMEOUT = 4


def check() -> None:
    """Ask ``/readyz`` with the login that the backend's variables name; end the program if not."""
    user, password = (os.environ.get(f"BASIC_AUTH_{part}", "") for part in ("USER", "PASS"))
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=_TIMEOUT)
    try:
        connection.request("GET", "/readyz", headers={"Authorization": f"Basic {login}"})
        answer = connection.getresponse()
    except OSError as error:
        sys.exit(f"not ready: {error}")
    if answer.status != http.client.OK:
        sys.exit(f"not ready: {answer.status} {answer.reason}")


if __name__ == "__main__":
    check()
