"""HTTP requests to untrusted, user-supplied addresses.

Built on httpcore, the layer below httpx: no cookies, no decompression, a new connection for each
request, and full control of each connection and redirect. Proxies from the environment are used
only with ``TRUST_PROXY_ENV``, and are sent only addresses that were checked here.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from ssl import SSLContext

import httpcore
import httpx

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageFetchError, ImageReferenceError, ImageRefusedError
from ml_backend.http_clients import proxy_for, tls_context
from ml_backend.images.addresses import AddressPolicy
from ml_backend.images.base import Download, Fetched, Trace, check_size, no_trace
from ml_backend.images.connections import PinnedBackend
from ml_backend.images.proxies import TunnelBackend
from ml_backend.images.redact import redact
from ml_backend.images.settings import ImageSettings

Headers = dict[str, str]

MAX_REDIRECTS = 5
MAX_PAGE_BYTES = 1 << 20
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HINTS = {
    401: "the server requires a login; use a public or a signed URL, or a bucket",
    403: "no access; a signed URL may have expired",
    404: "the file is not there; check the reference in the task",
    410: "the file was removed; check the reference in the task",
    429: "the server is busy; try again later",
}
NOT_MODIFIED = 304
ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{1,256}"')
SERVER_ERROR_HINT = "the server has a problem; try again later"


class HttpStatusError(ImageFetchError, kind="image_fetch"):
    """The server responded with an error status."""

    def __init__(self, url: httpx.URL, status: int) -> None:
        hint = SERVER_ERROR_HINT if status >= 500 else HINTS.get(status, "")
        super().__init__(f"{url.host} answered HTTP {status}", hint)
        self.url = url
        self.status = status


def parse_url(text: str) -> httpx.URL:
    """Parse an absolute http(s) URL; drops the fragment.

    Raises:
        ImageReferenceError: The URL is malformed.
        ImageRefusedError: The URL contains a user name, which is a common way to disguise its host.
    """
    try:
        url = httpx.URL(text).copy_with(fragment=None)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ImageReferenceError(f"{redact(text)} is not a valid URL") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ImageReferenceError(f"{redact(text)} is not an http(s) URL with a host")
    if url.port is not None and not 0 < url.port < 65536:
        raise ImageReferenceError(f"{redact(text)} has a port that does not exist")
    if url.userinfo:
        raise ImageRefusedError(f"{redact(text)} holds a user name", "use a signed URL instead")
    return url


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Return scheme, host and port, with the scheme's default port made explicit."""
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    return url.scheme, url.raw_host.decode("ascii").lower(), port


def _no_headers(_url: httpx.URL) -> Headers:
    return {}


class HttpClient:
    """HTTP client with limits on bytes, time, redirects and addresses. Thread-safe."""

    def __init__(self, settings: ImageSettings, trace: Trace = no_trace) -> None:
        self._settings = settings
        self._trace = trace

    @cached_property
    def _tls(self) -> SSLContext:
        return tls_context(self._settings)

    def get(
        self,
        url: httpx.URL,
        policy: AddressPolicy,
        deadline: Deadline,
        etag: str = "",
        headers: Callable[[httpx.URL], Headers] = _no_headers,
    ) -> Fetched | None:
        """Fetch a body, following redirects.

        Args:
            url: URL from ``parse_url``.
            policy: Policy that decides which addresses may be contacted, at each hop.
            deadline: Deadline of the whole fetch, redirects included.
            etag: ETag of a copy, which is not fetched again if it is still valid.
            headers: Function that returns the request headers for the URL of each hop.

        Returns:
            None if the server confirms the copy.

        Raises:
            ImageError: The address is refused or missing, too slow, too large, or not an image.
        """
        condition = {"If-None-Match": etag} if etag else {}
        for _ in range(MAX_REDIRECTS + 1):
            asked = headers(url) | condition
            with self._request("GET", url, asked, policy, deadline) as response:
                target = _redirect_target(url, response)
                if target is None:
                    if etag and response.status == NOT_MODIFIED:
                        return None
                    return Fetched(self._read(url, response, deadline), _etag(response))
            url = target
        raise ImageFetchError(f"{url.host} redirects more than {MAX_REDIRECTS} times")

    def get_page(self, url: httpx.URL, policy: AddressPolicy, deadline: Deadline) -> str:
        """Fetch the beginning of a web page, without following redirects.

        Raises:
            ImageError: The page does not exist, or is too slow.
        """
        page = bytearray()
        with self._request("GET", url, {}, policy, deadline) as response:
            if response.status != 200:
                raise HttpStatusError(url, response.status)
            for chunk in response.iter_stream():
                deadline.remaining()
                page += chunk
                if len(page) >= MAX_PAGE_BYTES:
                    break
        return page.decode(errors="replace")

    def post_json(
        self, url: httpx.URL, body: bytes, policy: AddressPolicy, deadline: Deadline
    ) -> bytes:
        """Post JSON, without following redirects, which count as errors."""
        headers = {"Content-Type": "application/json"}
        with self._request("POST", url, headers, policy, deadline, body) as response:
            return self._read(url, response, deadline)

    @contextmanager
    def _request(
        self,
        method: str,
        url: httpx.URL,
        headers: Headers,
        policy: AddressPolicy,
        deadline: Deadline,
        body: bytes | None = None,
    ) -> Iterator[httpcore.Response]:
        target = httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )
        own = {"Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity"}
        connect, read = self._settings.connect_seconds, self._settings.read_seconds
        proxy = proxy_for(url, self._settings)
        pool = httpcore.ConnectionPool(
            ssl_context=self._tls if url.scheme == "https" else None,
            network_backend=(
                TunnelBackend(policy, deadline, proxy, self._tls)
                if proxy
                else PinnedBackend(policy, deadline)
            ),
        )
        with (
            _plain_errors(url.host),
            pool,
            pool.stream(
                method,
                target,
                headers=[*(own | headers).items()],
                content=body,
                extensions={"timeout": {"connect": connect, "read": read, "write": read}},
            ) as response,
        ):
            self._trace(f"{method} {redact(str(url))}", _describe(response, headers, proxy))
            yield response

    def _read(self, url: httpx.URL, response: httpcore.Response, deadline: Deadline) -> bytes:
        if response.status != 200:
            raise HttpStatusError(url, response.status)
        headers = httpx.Headers(response.headers)
        if headers.get("content-type", "").lower().startswith("text/html"):
            raise ImageFetchError(
                f"{url.host} sent a web page instead of an image",
                "the reference must lead to the image file itself, without a login",
            )
        if headers.get("content-encoding", "identity") != "identity":
            raise ImageFetchError(f"{url.host} compressed the image, though asked not to")
        max_bytes = self._settings.max_image_bytes
        check_size(int(headers.get("content-length", 0)), max_bytes)
        download = Download(max_bytes, deadline)
        for chunk in response.iter_stream():
            download.write(chunk)
        return download.getvalue()


def _redirect_target(url: httpx.URL, response: httpcore.Response) -> httpx.URL | None:
    location = httpx.Headers(response.headers).get("location")
    if response.status not in REDIRECTS or location is None:
        return None
    try:
        return parse_url(str(url.join(location)))
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ImageFetchError(f"{url.host} redirects to a malformed URL") from error


def _describe(response: httpcore.Response, sent: Headers, proxy: httpx.URL | None) -> str:
    """Return a human-readable description of a response and the request that led to it."""
    stream: httpcore.NetworkStream = response.extensions["network_stream"]
    address = (stream.get_extra_info("server_addr") or ("?",))[0]
    place = f"the proxy {proxy.host}" if proxy else address
    kind = sent.get("Authorization", "").partition(" ")[0]
    shown = {"": "no credentials", "Basic": "the project's login"}.get(kind, "the token")
    content = httpx.Headers(response.headers).get("content-type", "no content type")
    return f"HTTP {response.status} from {place}, shown {shown}: {content}"


def _etag(response: httpcore.Response) -> str:
    etag = httpx.Headers(response.headers).get("etag", "")
    return etag if ETAG.fullmatch(etag) else ""


@contextmanager
def _plain_errors(host: str) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise ImageFetchError(
            f"{host} did not answer in time", "check that it is reachable from here, or try again"
        ) from error
    except httpcore.NetworkError as error:
        raise ImageFetchError(
            f"the connection to {host} failed ({error})",
            "check that it is up and reachable from here, or try again",
        ) from error
    except httpcore.ProtocolError as error:  # its text may quote headers
        raise ImageFetchError(
            f"the connection to {host} broke off, or it does not speak HTTP",
            "check the address, or try again",
        ) from error
