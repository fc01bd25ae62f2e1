"""The addresses that one Label Studio has: for backends, for browsers, and with a path in front."""

import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import httpx

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageError
from ml_backend.images.http import origin, parse_url

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ASK_AGAIN_SECONDS = 60.0
_STATED = re.compile(r'href="(https?://[^"\s]{1,2048}?)/static/images/favicon')


@dataclass(frozen=True)
class Address:
    """An address of Label Studio.

    Attributes:
        origin: Scheme, host and port; loopback names are one. None: only the path is known.
        path: What precedes Label Studio's own paths, without a slash at the end; may be empty.
    """

    origin: tuple[str, str, int] | None
    path: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse an http(s) URL, or the path alone.

        Raises:
            ImageError: It is neither.
        """
        if text.startswith("/"):
            return cls(None, text.rstrip("/"))
        url = parse_url(text)
        return cls(_comparable_origin(url), _raw_path(url).partition("?")[0].rstrip("/"))

    def path_below(self, path: str) -> str | None:
        """Return what follows the address's path in another; None where it lies elsewhere."""
        return path.removeprefix(self.path) if path.startswith(f"{self.path}/") else None


class Addresses:
    """All known addresses of one Label Studio.

    Args:
        texts: Each as ``Address.parse`` reads it.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        found = dict.fromkeys(map(Address.parse, texts))
        # The longest path first, so that of /ls and /ls/two the latter is recognised.
        self._known = sorted(found, key=lambda each: -len(each.path))

    def path_of(self, url: httpx.URL) -> str | None:
        """Return Label Studio's own path, with the query, of a URL at one of the addresses."""
        asked = _comparable_origin(url)
        known = (each for each in self._known if each.origin == asked)
        paths = (each.path_below(_raw_path(url)) for each in known)
        return next((path for path in paths if path is not None), None)

    def without_prefix(self, path: str) -> str:
        """Remove the path of an address from a path that begins with it."""
        paths = (each.path_below(path) for each in self._known if each.path)
        return next((below for below in paths if below is not None), path)


class StatedAddress:
    """The address that Label Studio itself says it has, asked at most once a minute.

    It is what ``POST /setup`` calls ``hostname``. Anybody may call a backend, so that one is not
    believed; Label Studio at ``LABEL_STUDIO_URL`` is.

    Args:
        ask: Fetches a page of Label Studio; may raise ImageError.
    """

    def __init__(self, ask: Callable[[Deadline], str]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._addresses = Addresses(())
        self._ask_again = 0.0

    def addresses(self, deadline: Deadline) -> Addresses:
        """Return the address, or none where Label Studio gives none or does not answer."""
        with self._lock:
            if time.monotonic() >= self._ask_again:
                self._addresses = self._parse(deadline)
                self._ask_again = time.monotonic() + _ASK_AGAIN_SECONDS
            return self._addresses

    def _parse(self, deadline: Deadline) -> Addresses:
        try:
            found = _STATED.search(self._ask(deadline))
            return Addresses([found[1]] if found else [])
        except ImageError:
            return Addresses(())


def _comparable_origin(url: httpx.URL) -> tuple[str, str, int]:
    scheme, host, port = origin(url)
    return scheme, "localhost" if host in _LOOPBACK else host, port


def _raw_path(url: httpx.URL) -> str:
    return url.raw_path.decode("ascii")
