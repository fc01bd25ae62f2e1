"""``http://`` and ``https://`` references."""

import math
from functools import partial

from ml_backend.images.addresses import AddressPolicy
from ml_backend.images.base import Location, Source
from ml_backend.images.http import HttpClient, parse_url
from ml_backend.images.redact import names_hash


class Web(Source):
    """Fetches from public hosts, and from those that ``ALLOWED_IMAGE_HOSTS`` names."""

    def __init__(self, client: HttpClient, policy: AddressPolicy, lifetime: float) -> None:
        self._client = client
        self._policy = policy
        self._lifetime = lifetime

    def locate(self, reference: str) -> Location | None:
        """See ``Source``."""
        if not reference.lower().startswith(("http://", "https://")):
            return None
        url = parse_url(reference)
        fetch = partial(self._client.get, url, self._policy)
        if names_hash(url.path) and not url.query:
            return Location(str(url), math.inf, fetch, str(url))
        return Location(str(url), self._lifetime, fetch)
