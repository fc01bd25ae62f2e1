"""``data:image/…`` references: the reference contains the image (RFC 2397)."""

import base64
import binascii
from functools import partial
from urllib.parse import unquote_to_bytes

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageReferenceError
from ml_backend.images.base import Fetched, Location, Source, TaskAccess, check_size

HINT = "it should look like data:image/png;base64,iVBORw0…"


class DataUri(Source):
    """Decoder of base64 and percent-encoded data URIs, as lenient as browsers."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def locate(self, reference: str, access: TaskAccess) -> Location | None:  # noqa: ARG002
        """See ``Source``."""
        if reference[:5].lower() != "data:":
            return None
        header, comma, payload = reference[5:].partition(",")
        media_type, *parameters = [part.strip().lower() for part in header.split(";")]
        if not comma or not media_type.startswith("image/"):
            raise ImageReferenceError("the data URI does not hold an image", HINT)
        is_base64 = parameters[-1:] == ["base64"]
        read = partial(self._decode, payload, is_base64)
        return Location("", 0, read, reference, what="in the task itself")

    def _decode(self, payload: str, is_base64: bool, _deadline: Deadline, _etag: str) -> Fetched:
        data = unquote_to_bytes(payload)
        if is_base64:
            data = _decode_base64(b"".join(data.split()).rstrip(b"="))
        check_size(len(data), self._max_bytes)
        return Fetched(data)


def _decode_base64(data: bytes) -> bytes:
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except binascii.Error as error:
        raise ImageReferenceError("the data URI is not valid base64", HINT) from error
