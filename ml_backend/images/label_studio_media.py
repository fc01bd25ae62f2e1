"""Label Studio's own media: uploads, local files, and objects that it serves from its storages."""

import math
import re
from functools import partial
from urllib.parse import unquote

import httpx

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageFetchError, ImageReferenceError, ImageRefusedError
from ml_backend.images.addresses import AddressPolicy
from ml_backend.images.base import Location, Source
from ml_backend.images.http import Headers, HttpClient, HttpStatusError, origin, parse_url
from ml_backend.images.local_files import read_below
from ml_backend.images.redact import redact
from ml_backend.images.settings import ImageSettings
from ml_backend.labelstudio.auth import REFRESH_PATH, TokenSource

UPLOAD = re.compile(r"/data/upload/.+")
LOCAL_FILE = re.compile(r"/data/local-files/?")
STORAGE = re.compile(r"/storage-data/uploaded/?|/(tasks|projects)/\d+/(resolve|presign)/?")
"""With the two above, all paths of Label Studio 1.23 that answer with media (see its urls.py)."""

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

    The token goes to media paths of ``LABEL_STUDIO_URL`` and nowhere else.
    """

    def __init__(self, settings: ImageSettings, client: HttpClient, policy: AddressPolicy) -> None:
        self._settings = settings
        self._client = client
        self._base = parse_url((settings.label_studio_url or NO_LABEL_STUDIO).rstrip("/"))
        self._policy = policy.trusting(origin(self._base)[1:])
        key = settings.label_studio_api_key
        self._tokens = TokenSource(key.get_secret_value() if key else "")

    def locate(self, reference: str) -> Location | None:
        """See ``Source``."""
        url = self._absolute(reference)
        if url is None or not self._is_ours(url):
            return None
        path = self._path_below_base(url)
        root = self._settings.local_files_document_root
        if root is not None and LOCAL_FILE.fullmatch(path):
            name = url.params.get("d", "")
            return Location("", 0, partial(read_below, root, name, self._settings.max_image_bytes))
        if self._settings.label_studio_url is None:
            raise ImageReferenceError(
                f"{redact(reference)} is in Label Studio, whose address is not known",
                "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY",
            )
        if UPLOAD.fullmatch(path):
            # Each upload gets a name of its own, the same at all addresses of Label Studio.
            return Location(str(url), math.inf, partial(self._fetch, url), f"label-studio:{path}")
        lifetime = self._settings.image_cache_seconds
        return Location(str(url), lifetime, partial(self._fetch, url))

    def _absolute(self, reference: str) -> httpx.URL | None:
        if reference.lower().startswith(("http://", "https://")):
            return parse_url(reference)
        if not reference.startswith("/") or reference.startswith("//"):
            return None
        prefix = self._base.path.rstrip("/")
        below = reference.removeprefix(prefix) if reference.startswith(f"{prefix}/") else reference
        url = parse_url(str(self._base).rstrip("/") + below)
        if not self._is_ours(url):
            raise ImageReferenceError(
                f"{redact(reference)} is not the path of an image in Label Studio",
                "such paths start with /data/upload/ or /data/local-files/",
            )
        return url

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


def _has_dotdot(path: str) -> bool:
    """Say whether any server or proxy on the way could read ``..`` in the path."""
    while (decoded := unquote(path)) != path:
        path = decoded
    return ".." in re.split(r"[/\\;]", path)
