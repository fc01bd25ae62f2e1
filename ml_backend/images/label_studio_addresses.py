"""Addresses of one Label Studio: for backends, for browsers, and with a path prefix."""

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
    """Address of Label Studio.

    Attributes:
        origin: Scheme, host and port, with all loopback names treated as equal. None: path only.
        path: Path prefix before Label Studio's own paths, without a trailing slash; may be empty.
    """

    origin: tuple[str, str, int] | None
    path: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse an http(s) URL, or the path alone.

        Raises:
            ImageError: The text is neither a URL nor a path.
        """
        if text.startswith("/"):
            return cls(None, text.rstrip("/"))
        url = parse_url(text)
        return cls(_comparable_origin(url), _raw_path(url).partition("?")[0].rstrip("/"))

    def path_below(self, path: str) -> str | None:
        """Return the part of ``path`` after this address's prefix; None if it lies elsewhere."""
        return path.removeprefix(self.path) if path.startswith(f"{self.path}/") else None


class Addresses:
    """All known addresses of one Label Studio.

    Args:
        texts: Addresses in the form that ``Address.parse`` reads.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        found = dict.fromkeys(map(Address.parse, texts))
        # Longest path first, so that /ls/two is recognized before /ls.
        self._known = sorted(found, key=lambda each: -len(each.path))

    def path_of(self, url: httpx.URL) -> str | None:
        """Return Label Studio's own path and query of a URL at one of the addresses, else None."""
        asked = _comparable_origin(url)
        known = (each for each in self._known if each.origin == asked)
        paths = (each.path_below(_raw_path(url)) for each in known)
        return next((path for path in paths if path is not None), None)

    def without_prefix(self, path: str) -> str:
        """Remove the path prefix of an address from a path that begins with it."""
        paths = (each.path_below(path) for each in self._known if each.path)
        return next((below for below in paths if below is not None), path)


class StatedAddress:
    """Address that Label Studio states for itself, requested at most once a minute.

    It equals ``hostname`` in ``POST /setup``. Anybody may call a backend, so that field is not
    trusted; Label Studio at ``LABEL_STUDIO_URL`` is.

    Args:
        ask: Function that fetches a page of Label Studio; may raise ImageError.
    """

    def __init__(self, ask: Callable[[Deadline], str]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._addresses = Addresses(())
        self._ask_again = 0.0

    def addresses(self, deadline: Deadline) -> Addresses:
        """Return the address, or none if Label Studio states none or does not respond."""
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
