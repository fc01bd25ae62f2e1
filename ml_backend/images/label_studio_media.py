"""Label Studio's own media: uploads, local files, and objects that it serves from its storages."""

import math
import re
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

import httpx

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageFetchError, ImageReferenceError, ImageRefusedError
from ml_backend.images.addresses import AddressPolicy
from ml_backend.images.base import Location, Source
from ml_backend.images.http import Headers, HttpClient, HttpStatusError, origin, parse_url
from ml_backend.images.label_studio_addresses import Addresses, StatedAddress
from ml_backend.images.local_files import read_below
from ml_backend.images.redact import redact
from ml_backend.images.settings import ImageSettings
from ml_backend.labelstudio.auth import REFRESH_PATH, TokenSource

UPLOAD = re.compile(r"/data/upload/.+")
LOCAL_FILE = re.compile(r"/data/local-files/?")
STORAGE = re.compile(r"/storage-data/uploaded/?|/(tasks|projects)/\d+/(resolve|presign)/?")
"""With the two above, all paths of Label Studio 1.23 that answer with media (see its urls.py)."""

MEDIA_BELOW = re.compile(r"(/data/upload/.+|/data/local-files/?|/storage-data/uploaded/?)$")
"""What may be Label Studio's below an address that only Label Studio itself knows."""

NO_LABEL_STUDIO = "http://label-studio.invalid"
KEY_HINT = (
    "set LABEL_STUDIO_API_KEY to a valid token from Account & Settings in Label Studio, and"
    " LABEL_STUDIO_URL to where it really answers (https?)"
)
HINTS = {
    401: KEY_HINT,
    403: KEY_HINT,
    500: "Label Studio answers so for a file that is gone, too; look at its log",
}


class LabelStudio(Source):
    """Fetches media from ``LABEL_STUDIO_URL``, or local files straight from disk.

    References may name any address of Label Studio. The token goes to media paths of
    ``LABEL_STUDIO_URL`` and nowhere else.
    """

    def __init__(self, settings: ImageSettings, client: HttpClient, policy: AddressPolicy) -> None:
        self._settings = settings
        self._client = client
        self._base = parse_url((settings.label_studio_url or NO_LABEL_STUDIO).rstrip("/"))
        given = (settings.label_studio_url, settings.label_studio_host)
        self._addresses = Addresses(filter(None, given))
        self._public = policy
        self._policy = policy.trusting(origin(self._base)[1:])
        self._stated = StatedAddress(self._ask_front_page)
        key = settings.label_studio_api_key
        self._tokens = TokenSource(key.get_secret_value() if key else "")

    def locate(self, reference: str) -> Location | None:
        """See ``Source``."""
        if reference.lower().startswith(("http://", "https://")):
            return self._locate_url(parse_url(reference))
        if not reference.startswith("/") or reference.startswith("//"):
            return None
        url = self._inner(self._addresses.without_prefix(reference))
        if self._is_ours(url):
            return self._locate_media(url)
        if self._may_be_ours(url):
            return self._location(url, partial(self._fetch_below_stated_path, reference))
        raise _not_media(reference)

    def _locate_url(self, url: httpx.URL) -> Location | None:
        path = self._addresses.path_of(url)
        if path is not None:
            inner = self._inner(path)
            return self._locate_media(inner) if self._is_ours(inner) else None
        if not self._may_be_ours(url):
            return None
        return self._location(url, partial(self._fetch_where_stated, url))

    def _may_be_ours(self, url: httpx.URL) -> bool:
        known = self._settings.label_studio_url is not None
        return known and bool(MEDIA_BELOW.search(url.path)) and not _has_dotdot(url.path)

    def _location(self, url: httpx.URL, fetch: Callable[[Deadline], bytes]) -> Location:
        return Location(str(url), self._settings.image_cache_seconds, fetch)

    def _locate_media(self, url: httpx.URL) -> Location:
        path = self._path_below_base(url)
        root = self._settings.local_files_document_root
        if root is not None and LOCAL_FILE.fullmatch(path):
            name = url.params.get("d", "")
            return Location("", 0, partial(read_below, root, name, self._settings.max_image_bytes))
        if self._settings.label_studio_url is None:
            raise ImageReferenceError(
                f"{redact(path)} is in Label Studio, whose address is not known",
                "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY",
            )
        if UPLOAD.fullmatch(path):
            # Each upload gets a name of its own, the same at all addresses of Label Studio.
            return Location(str(url), math.inf, partial(self._fetch, url), f"label-studio:{path}")
        return self._location(url, partial(self._fetch, url))

    def _inner(self, path: str) -> httpx.URL:
        return parse_url(str(self._base).rstrip("/") + path)

    def _is_ours(self, url: httpx.URL) -> bool:
        """Say whether the URL is a media path of Label Studio.

        Raises:
            ImageRefusedError: It tries to climb out of that path.
        """
        if origin(url) != origin(self._base):
            return False
        path = self._path_below_base(url)
        if not any(media.fullmatch(path) for media in (UPLOAD, LOCAL_FILE, STORAGE)):
            return False
        if _has_dotdot(path):
            raise ImageRefusedError("the path climbs out of Label Studio's media with '..'")
        return True

    def _path_below_base(self, url: httpx.URL) -> str:
        prefix = self._base.path.rstrip("/")
        return url.path.removeprefix(prefix) if url.path.startswith(f"{prefix}/") else ""

    def _fetch_where_stated(self, url: httpx.URL, deadline: Deadline) -> bytes:
        """Fetch from Label Studio if it says that the address is its own, else as from the web."""
        path = self._stated.addresses(deadline).path_of(url)
        if path is None or not self._is_ours(self._inner(path)):
            return self._client.get(url, self._public, deadline)
        return self._locate_media(self._inner(path)).fetch(deadline)

    def _fetch_below_stated_path(self, path: str, deadline: Deadline) -> bytes:
        url = self._inner(self._stated.addresses(deadline).without_prefix(path))
        if not self._is_ours(url):
            raise _not_media(path)
        return self._locate_media(url).fetch(deadline)

    def _ask_front_page(self, deadline: Deadline) -> str:
        return self._client.get_page(self._inner("/user/login/"), self._policy, deadline)

    def _fetch(self, url: httpx.URL, deadline: Deadline) -> bytes:
        authorization = self._authorization(deadline)
        try:
            return self._get(url, authorization, deadline)
        except HttpStatusError as error:
            if error.status != 401:
                raise
            renewed = self._authorization(deadline, rejected=authorization)
            if renewed == authorization:
                raise
        return self._get(url, renewed, deadline)

    def _get(self, url: httpx.URL, authorization: str, deadline: Deadline) -> bytes:
        def headers(hop: httpx.URL) -> Headers:
            if self._is_ours(hop):
                return {"Authorization": authorization} if authorization else {}
            if origin(hop) == origin(self._base):
                raise ImageFetchError(
                    f"Label Studio redirects from the image to its page {redact(hop.path)}",
                    KEY_HINT,
                )
            return {}

        try:
            return self._client.get(url, self._policy, deadline, headers)
        except HttpStatusError as error:
            if error.url.host == self._base.host:
                error.hint = HINTS.get(error.status, error.hint)
            raise

    def _authorization(self, deadline: Deadline, rejected: str = "") -> str:
        url = parse_url(str(self._base).rstrip("/") + REFRESH_PATH)

        def exchange(body: bytes) -> bytes:
            return self._client.post_json(url, body, self._policy, deadline)

        try:
            return self._tokens.authorization(exchange, deadline.remaining(), rejected)
        except TimeoutError as error:
            raise ImageFetchError("Label Studio took too long to renew the access token") from error
        except HttpStatusError as error:
            raise ImageFetchError(
                f"Label Studio did not take the personal access token (HTTP {error.status})",
                KEY_HINT,
            ) from error
        except ValueError as error:
            raise ImageFetchError(
                "Label Studio answered the token refresh with something else than a token",
                "check that LABEL_STUDIO_URL is Label Studio itself",
            ) from error


def _not_media(reference: str) -> ImageReferenceError:
    return ImageReferenceError(
        f"{redact(reference)} is not the path of an image in Label Studio",
        "such paths start with /data/upload/ or /data/local-files/, after the path of"
        " LABEL_STUDIO_HOST if it has one",
    )


def _has_dotdot(path: str) -> bool:
    """Say whether any server or proxy on the way could read ``..`` in the path."""
    while (decoded := unquote(path)) != path:
        path = decoded
    return ".." in re.split(r"[/\\;]", path)
