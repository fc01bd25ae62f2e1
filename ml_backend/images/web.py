"""``http://`` and ``https://`` references."""

import base64
import hashlib
import math
from functools import partial

import httpx

from ml_backend.images.addresses import AddressPolicy
from ml_backend.images.base import Location, Source, TaskAccess
from ml_backend.images.http import Headers, HttpClient, origin, parse_url
from ml_backend.images.redact import names_hash
from ml_backend.images.signatures import without_signature

WHAT = "on a web server"


class Web(Source):
    """Images on public hosts, and on those that ``ALLOWED_IMAGE_HOSTS`` names."""

    def __init__(self, client: HttpClient, policy: AddressPolicy, lifetime: float) -> None:
        self._client = client
        self._policy = policy
        self._lifetime = lifetime

    def locate(self, reference: str, access: TaskAccess) -> Location | None:
        """See ``Source``."""
        if not reference.lower().startswith(("http://", "https://")):
            return None
        url = parse_url(reference)
        login = access.login
        headers = partial(_login_headers, url, login) if login else _no_headers
        fetch = partial(self._client.get, url, self._policy, headers=headers)
        # A copy fetched with a login must not serve a request without it.
        name = f"{url} for {_digest(login)}" if login else str(url)
        if names_hash(url.path) and not url.query:
            return Location(name, math.inf, fetch, name, what=WHAT)
        bare = without_signature(url)
        if bare == url:
            return Location(name, self._lifetime, fetch, what=WHAT)
        # Not the key of the bare address: a copy fetched with a signature must not serve it.
        unsigned = name.replace(str(url), f"{bare} when signed", 1)
        return Location(name, self._lifetime, fetch, name=unsigned, what=WHAT)


def _no_headers(_hop: httpx.URL) -> Headers:
    return {}


def _login_headers(url: httpx.URL, login: tuple[str, str], hop: httpx.URL) -> Headers:
    """Send the login to the host that the task names, and to no redirect target."""
    if origin(hop) != origin(url):
        return {}
    return {"Authorization": f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"}


def _digest(login: tuple[str, str]) -> str:
    return hashlib.sha256("\0".join(login).encode()).hexdigest()
