"""Label Studio media: uploads, local files, and objects of connected storages."""

import base64
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from urllib.parse import unquote

import httpx

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageFetchError, ImageReferenceError, ImageRefusedError
from ml_backend.images.addresses import AddressPolicy
from ml_backend.images.base import Fetched, Location, Source, TaskAccess
from ml_backend.images.http import Headers, HttpClient, HttpStatusError, origin, parse_url
from ml_backend.images.label_studio_addresses import Addresses, StatedAddress
from ml_backend.images.local_files import read_below
from ml_backend.images.redact import redact
from ml_backend.images.settings import ImageSettings
from ml_backend.images.web import Web
from ml_backend.labelstudio.auth import REFRESH_PATH, TokenSource

UPLOAD = re.compile(r"/data/upload/.+")
LOCAL_FILE = re.compile(r"/data/local-files/?")
STORAGE = re.compile(r"/storage-data/uploaded/?|/(tasks|projects)/\d+/(resolve|presign)/?")
"""With the two above, all media paths of Label Studio 1.23 (see its urls.py)."""

MEDIA_BELOW = re.compile(r"(/data/upload/.+|/data/local-files/?|/storage-data/uploaded/?)$")
"""Possible media paths below an address that only Label Studio itself knows."""

OBJECT = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,31})://.")
NOT_STORAGES = frozenset({"http", "https", "ftp", "ftps", "file", "data", "blob", "ws", "wss"})

NO_LABEL_STUDIO = "http://label-studio.invalid"
KEY_HINT = (
    "set LABEL_STUDIO_API_KEY to a valid token from Account & Settings in Label Studio, and"
    " LABEL_STUDIO_URL to the address that it is served at (https?)"
)
STORAGE_HINT = (
    "connect it as a source cloud storage of the task's project in Label Studio, or check the name"
)
HINTS = {
    401: KEY_HINT,
    403: f"{KEY_HINT}; with a valid one, the file is missing or belongs to a project that it may "
    "not see",
    500: "Label Studio also returns this for a missing file; see its log",
}
LOCAL_FILES_HINT = (
    "in Label Studio, set LOCAL_FILES_SERVING_ENABLED=true and add the folder as a source storage "
    "of type Local files; or set LOCAL_FILES_DOCUMENT_ROOT for the backends"
)


class LabelStudio(Source):
    """Media fetched from ``LABEL_STUDIO_URL``, or local files read directly from disk.

    References may use any address of Label Studio. The token is sent only to media paths of
    ``LABEL_STUDIO_URL``.
    """

    def __init__(
        self, settings: ImageSettings, client: HttpClient, policy: AddressPolicy, web: Web
    ) -> None:
        self._settings = settings
        self._client = client
        self._base = parse_url((settings.label_studio_url or NO_LABEL_STUDIO).rstrip("/"))
        given = (settings.label_studio_url, settings.label_studio_host)
        self._addresses = Addresses(filter(None, given))
        self._web = web
        self._policy = policy.trusting(origin(self._base)[1:])
        self._stated = StatedAddress(self._ask_front_page)
        key = settings.label_studio_api_key
        self._tokens = TokenSource(key.get_secret_value() if key else "")

    def locate(self, reference: str, access: TaskAccess) -> Location | None:
        """See ``Source``."""
        if reference.lower().startswith(("http://", "https://")):
            return self._locate_url(parse_url(reference), access)
        if not reference.startswith("/") or reference.startswith("//"):
            return None
        url = self._inner(self._addresses.without_prefix(reference))
        if self._is_ours(url):
            return self._locate_media(url)
        if self._may_be_ours(url):
            return self._location(url, partial(self._fetch_below_stated_path, reference))
        raise _not_media(reference)

    def locate_object(self, reference: str, access: TaskAccess) -> Location:
        """Return the location of a storage object, whose address Label Studio signs.

        Raises:
            ImageReferenceError: Label Studio's address, or the task's ID, is not known.
        """
        if self._settings.label_studio_url is None or access.task is None:
            raise ImageReferenceError(
                f"{redact(reference)} is in a storage that Label Studio can read",
                "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, and send the task with its id",
            )
        encoded = base64.urlsafe_b64encode(reference.encode()).decode()
        url = self._inner(f"/tasks/{access.task}/presign/?fileuri={encoded}")
        whose = f"task {access.task}" if access.project is None else f"project {access.project}"
        fetch = partial(self._fetch_object, url, reference)
        # A copy fetched for one project must not serve another that may have no access.
        key = f"{reference} of {whose} at {self._base}"
        seconds = self._settings.image_cache_seconds
        return Location(key, seconds, fetch, what="an object that Label Studio is asked for")

    def _locate_url(self, url: httpx.URL, access: TaskAccess) -> Location | None:
        path = self._addresses.path_of(url)
        if path is not None:
            inner = self._inner(path)
            return self._locate_media(inner) if self._is_ours(inner) else None
        elsewhere = self._web.locate(str(url), access) if self._may_be_ours(url) else None
        if elsewhere is None:
            return None
        return replace(elsewhere, fetch=partial(self._fetch_where_stated, url, elsewhere))

    def _may_be_ours(self, url: httpx.URL) -> bool:
        known = self._settings.label_studio_url is not None
        return known and bool(MEDIA_BELOW.search(url.path)) and not _has_dotdot(url.path)

    def _location(
        self, url: httpx.URL, fetch: Callable[[Deadline, str], Fetched | None]
    ) -> Location:
        seconds = self._settings.image_cache_seconds
        return Location(str(url), seconds, fetch, what="an image that Label Studio serves")

    def _locate_media(self, url: httpx.URL) -> Location:
        path = self._path_below_base(url)
        root = self._settings.local_files_document_root
        if root is not None and LOCAL_FILE.fullmatch(path):
            name = url.params.get("d", "")
            read = partial(read_below, root, name, self._settings.max_image_bytes)
            return Location("", 0, read, what="a file below LOCAL_FILES_DOCUMENT_ROOT")
        if self._settings.label_studio_url is None:
            raise ImageReferenceError(
                f"{redact(path)} is in Label Studio, whose address is not known",
                "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY",
            )
        if UPLOAD.fullmatch(path):
            # Each upload has a unique name, the same at all addresses of Label Studio.
            same = f"label-studio:{path}"
            fetch = partial(self._fetch, url)
            return Location(str(url), math.inf, fetch, same, what="an upload in Label Studio")
        return self._location(url, partial(self._fetch, url))

    def _inner(self, path: str) -> httpx.URL:
        return parse_url(str(self._base).rstrip("/") + path)

    def _is_ours(self, url: httpx.URL) -> bool:
        """Return whether the URL is a media path of Label Studio.

        Raises:
            ImageRefusedError: The path contains ``..``.
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

    def _fetch_where_stated(
        self, url: httpx.URL, elsewhere: Location, deadline: Deadline, etag: str
    ) -> Fetched | None:
        """Fetch from Label Studio if it states that the address is its own, else from the web."""
        path = self._stated.addresses(deadline).path_of(url)
        if path is None or not self._is_ours(self._inner(path)):
            return elsewhere.fetch(deadline, etag)
        return self._locate_media(self._inner(path)).fetch(deadline, etag)

    def _fetch_below_stated_path(self, path: str, deadline: Deadline, etag: str) -> Fetched | None:
        url = self._inner(self._stated.addresses(deadline).without_prefix(path))
        if not self._is_ours(url):
            raise _not_media(path)
        return self._locate_media(url).fetch(deadline, etag)

    def _ask_front_page(self, deadline: Deadline) -> str:
        return self._client.get_page(self._inner("/user/login/"), self._policy, deadline)

    def _fetch_object(
        self, url: httpx.URL, reference: str, deadline: Deadline, etag: str
    ) -> Fetched | None:
        try:
            return self._fetch(url, deadline, etag)
        except HttpStatusError as error:
            if error.status != 404 or origin(error.url) != origin(self._base):
                raise
            raise ImageFetchError(
                f"Label Studio has no storage with {redact(reference)}", STORAGE_HINT
            ) from error

    def _fetch(self, url: httpx.URL, deadline: Deadline, etag: str) -> Fetched | None:
        authorization = self._authorization(deadline)
        try:
            return self._get(url, authorization, deadline, etag)
        except HttpStatusError as error:
            if error.status != 401:
                raise
            renewed = self._authorization(deadline, rejected=authorization)
            if renewed == authorization:
                raise
        return self._get(url, renewed, deadline, etag)

    def _get(
        self, url: httpx.URL, authorization: str, deadline: Deadline, etag: str
    ) -> Fetched | None:
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
            return self._client.get(url, self._policy, deadline, etag, headers)
        except HttpStatusError as error:
            if error.url.host == self._base.host:
                error.hint = _hint(error)
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
                f"Label Studio rejected the personal access token (HTTP {error.status})",
                KEY_HINT,
            ) from error
        except ValueError as error:
            raise ImageFetchError(
                "Label Studio's token refresh returned no token",
                "check that LABEL_STUDIO_URL is Label Studio itself",
            ) from error


def _hint(error: HttpStatusError) -> str:
    """Return what to do about an error of Label Studio."""
    if error.status in (403, 404) and "/data/local-files" in error.url.path:
        return LOCAL_FILES_HINT
    return HINTS.get(error.status, error.hint)


class Storages(Source):
    """Objects with any other scheme, such as ``s3://`` and ``azure-blob://``, via Label Studio.

    Label Studio, called with the token, returns the object or redirects to a signed address, which
    is fetched without the token.
    """

    def __init__(self, label_studio: LabelStudio) -> None:
        self._label_studio = label_studio

    def locate(self, reference: str, access: TaskAccess) -> Location | None:
        """See ``Source``."""
        scheme = OBJECT.match(reference)
        if scheme is None or scheme[1].lower() in NOT_STORAGES:
            return None
        return self._label_studio.locate_object(reference, access)


def _not_media(reference: str) -> ImageReferenceError:
    return ImageReferenceError(
        f"{redact(reference)} is not the path of an image in Label Studio",
        "such paths start with /data/upload/ or /data/local-files/, after the path of"
        " LABEL_STUDIO_HOST if it has one",
    )


def _has_dotdot(path: str) -> bool:
    """Return whether any server or proxy on the way could read ``..`` in the path."""
    while (decoded := unquote(path)) != path:
        path = decoded
    return ".." in re.split(r"[/\\;]", path)
