"""Files under ``LOCAL_FILES_DOCUMENT_ROOT``."""

import posixpath
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageFetchError, ImageReferenceError, ImageRefusedError
from ml_backend.images.base import Download, Fetched
from ml_backend.images.redact import redact


def read_below(root: Path, name: str, max_bytes: int, deadline: Deadline, _etag: str) -> Fetched:
    r"""Read one file in a folder, resolved the way Label Studio resolves it.

    Args:
        root: Root folder.
        name: Path of the file relative to the root, decoded. A leading slash is ignored. If no such
            file exists, ``\`` also separates folders (Label Studio on Windows), and accented
            letters are looked up composed and decomposed (macOS).
        max_bytes: Maximum file size in bytes.
        deadline: Deadline for reading (network file systems can be slow).

    Raises:
        ImageReferenceError: The name cannot be a file name.
        ImageRefusedError: The path leads out of the root, by ``..`` or by a symbolic link.
        ImageFetchError: The file does not exist or cannot be read.
        ImageDecodeError: The file is too large.
    """
    shown = redact(name)
    try:
        path = _find(root.resolve(), name)
        download = Download(max_bytes, deadline)
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                download.write(chunk)
    except (ValueError, RuntimeError) as error:  # a zero byte; links in a circle
        raise ImageReferenceError(f"{shown} is not a file name") from error
    except OSError as error:
        raise ImageFetchError(
            f"{shown} cannot be read ({error.strerror})", "check the permissions of the file"
        ) from error
    return Fetched(download.getvalue())


def _find(root: Path, name: str) -> Path:
    """Return the resolved path of the file."""
    inside = False
    for spelling in _spellings(name):
        path = (root / posixpath.normpath(spelling).lstrip("/")).resolve()
        if path.is_relative_to(root):
            if path.is_file():
                return path
            inside = not spelling.startswith("/")
    shown = redact(name)
    if not inside:
        raise ImageRefusedError(f"{shown} lies outside LOCAL_FILES_DOCUMENT_ROOT")
    raise ImageFetchError(
        f"{shown} is not a file below LOCAL_FILES_DOCUMENT_ROOT",
        "check the reference, and that this is the folder that Label Studio uses",
    )


def _spellings(name: str) -> Iterator[str]:
    for separated in dict.fromkeys((name, name.replace("\\", "/"))):
        yield from dict.fromkeys(
            (
                separated,
                unicodedata.normalize("NFC", separated),
                unicodedata.normalize("NFD", separated),
            )
        )
