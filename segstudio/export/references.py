"""Image references as exports show them: without signatures, and as file names."""

import hashlib
import mimetypes
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from ml_backend.images.signatures import signature_parameters
from segstudio.data.tables import IMAGE_SUFFIXES

_LONGEST = 200
"""Maximum bytes of a path component: file systems allow 255, and a suffix may be added."""

_UNFIT = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\ud800-\udfff]')
_UPLOAD = re.compile(r"^.*/data/upload/\d+/")
_LOCAL_FILE = re.compile(r"^.*/data/local-files/?\?d=")
_HOST = re.compile(r"^[a-z][a-z0-9+.-]*://[^/?#]*/?", re.IGNORECASE)
_USER_INFO = re.compile(r"^(https?://)[^/?#@]*@", re.IGNORECASE)

_SECRETS = frozenset({"signature", "sig", "token", "access_token"})
"""Parameters that grant access on their own, in addition to complete signatures."""


def unsigned(reference: str) -> str:
    """Return a reference without its signature, tokens, user name and password.

    A signature grants access to the image while it lasts. Other parameters stay, so the address
    still identifies the image.
    """
    reference = _USER_INFO.sub(r"\1", reference)
    address, _, rest = reference.partition("?")
    query, mark, fragment = rest.partition("#")
    parts = query.split("&")
    names = [unquote(part.partition("=")[0]).lower() for part in parts]
    secret = signature_parameters(set(names)) | _SECRETS.intersection(names)
    if not secret:
        return reference
    kept = [part for part, name in zip(parts, names, strict=True) if name not in secret]
    return address + "?" * bool(kept) + "&".join(kept) + mark + fragment


def without_signatures(value: Any) -> Any:
    """Return JSON with ``unsigned`` applied to all strings."""
    if isinstance(value, str):
        return unsigned(value)
    if isinstance(value, Mapping):
        return {name: without_signatures(each) for name, each in value.items()}
    return [without_signatures(each) for each in value] if isinstance(value, list) else value


def name_reference(reference: str) -> str:
    """Return an identifier for an image without one: its object name, or its address.

    A ``data:`` URI contains the whole image, and is identified by a digest.
    """
    if reference.startswith("gs://"):
        return reference.removeprefix("gs://").partition("/")[2] or reference
    if reference[:5].lower() == "data:":
        digest = hashlib.sha256(reference.encode(errors="replace")).hexdigest()[:16]
        return f"data-{digest}{_suffix(reference)}"
    return unsigned(reference)


def file_name(identifier: str, reference: str, addition: str = "") -> str:
    """Return a file name for the image below a folder of images, valid on every file system.

    Args:
        identifier: Identifier of the task.
        reference: Image reference, whose suffix is used if the identifier has none.
        addition: Text inserted before the suffix; empty for none.
    """
    name = identifier
    for pattern in (_UPLOAD, _LOCAL_FILE, _HOST):
        name = pattern.sub("", name)
    path = PurePosixPath(unquote(name).partition("?")[0] if name != identifier else name)
    stem, suffix = (path.name, "") if not _is_image(path.suffix) else (path.stem, path.suffix)
    behind = f"-{addition}" if addition else ""
    return path_of([*path.parent.parts, stem]) + behind + (suffix or _suffix(reference))


def path_of(parts: list[str]) -> str:
    """Return a path of these components that stays below the folder it is joined to."""
    safe = [part for part in (path_part(each.strip("/")) for each in parts) if part]
    return "/".join(safe) or "image"


def path_part(text: str) -> str:
    """Return a path component that is valid on every file system; may be empty."""
    return _UNFIT.sub("_", text).encode()[:_LONGEST].decode(errors="ignore").strip(" .")


def _suffix(reference: str) -> str:
    """Return the suffix of the image's file; defaults to ``.jpg``, the most frequent."""
    if reference[:5].lower() == "data:":
        kind = re.split("[;,]", reference[5:105], maxsplit=1)[0]
        return mimetypes.guess_extension(kind.strip().lower()) or ".jpg"
    suffix = PurePosixPath(reference.partition("?")[0]).suffix.lower()
    return suffix if _is_image(suffix) else ".jpg"


def _is_image(suffix: str) -> bool:
    return suffix.lower() in IMAGE_SUFFIXES
