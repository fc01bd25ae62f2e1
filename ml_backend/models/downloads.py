"""Download weights into ``MODELS_DIR``: resumed after interruptions, verified, placed atomically.

Plain httpx: huggingface_hub's ``hf_hub_download`` deletes partial downloads, and
``torch.hub.download_url_to_file`` neither resumes nor limits time and size.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import httpx
import structlog

from ml_backend.errors import ModelError
from ml_backend.http_clients import http_client
from ml_backend.models.checkpoints import Checkpoint, CheckpointFile, check_sha256

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each retry; after as many failures in a row, the download fails."""

log = structlog.get_logger(__name__)

TIMEOUT = httpx.Timeout(30, connect=10)
_BUSY = {408, 425, 429, 500, 502, 503, 504}


class Watcher(Protocol):
    """Receiver of progress and notes."""

    def progress(self, file: CheckpointFile, done: int) -> None:
        """Report the bytes of a file that are on disk."""

    def note(self, text: str) -> None:
        """Report an event that explains a delay."""


def pull(
    weights: Checkpoint,
    models_dir: Path,
    watcher: Watcher,
    pauses: Sequence[float] | None = None,
    headers: Mapping[str, str] | None = None,
) -> list[CheckpointFile]:
    """Download all files of a model into ``models_dir``; intact ones stay.

    A file appears under its name only when it is complete and its SHA-256 right. A partial
    download stays next to it, hidden, and is resumed by the next try.

    Args:
        weights: Model to download.
        models_dir: Target folder, created if missing. One pull at a time works in it; others wait.
        watcher: Receiver of progress and notes.
        pauses: Seconds before each retry, instead of ``PAUSES``.
        headers: Request headers for the host of each file; not sent to redirect targets.

    Returns:
        Downloaded files.

    Raises:
        ModelError: A file is not available, differs from the expected one, or cannot be written.
    """
    waits = PAUSES if pauses is None else pauses
    try:
        with folder_lock(models_dir, watcher), _client(headers) as client:
            files = [file for file in weights.files if not _is_right(file, models_dir)]
            for index, file in enumerate(files):
                try:
                    _Download(client, file, models_dir / file.path, watcher, waits).run()
                except _UnavailableError as error:
                    ways = "; ".join(left.by_hand(models_dir) for left in files[index:])
                    raise ModelError(str(error), f"without a network: {ways}") from error
    except OSError as error:
        raise ModelError(
            f"cannot write {error.filename or models_dir}: {error.strerror}",
            "free disk space or choose another MODELS_DIR; the download resumes from here",
        ) from error
    return files


def obtain(
    weights: Checkpoint,
    models_dir: Path,
    fallback: bool = False,
    headers: Mapping[str, str] | None = None,
) -> bool:
    """Download the missing files of a model requested by name.

    Existing files are not checked; that is left to the loader.

    Args:
        weights: Model to download.
        models_dir: Target folder.
        fallback: Whether another model may serve instead.
        headers: See ``pull``.

    Returns:
        Whether all files exist; False only with ``fallback``.

    Raises:
        ModelError: See ``pull``.
    """
    if not weights.missing(models_dir):
        return True
    log.info(
        "weights_pulled_from_the_web",
        model=weights.name,
        bytes=weights.size,
        licence=weights.licence,
    )
    try:
        pull(weights, models_dir, _LogWatcher(), headers=headers)
    except ModelError as error:
        if not fallback:
            raise
        log.warning("model_fallback", asked=weights.name, reason=str(error))
        return False
    return True


class _LogWatcher:
    def progress(self, file: CheckpointFile, done: int) -> None:
        """Ignore progress: a server has no progress bar."""

    def note(self, text: str) -> None:
        log.warning("weights_pull", note=text)


def _is_right(file: CheckpointFile, models_dir: Path) -> bool:
    try:
        file.check(models_dir)
    except ModelError:
        return False
    return True


@contextmanager
def folder_lock(models_dir: Path, watcher: Watcher | None = None) -> Iterator[None]:
    """Lock the folder against writes by other threads and processes."""
    models_dir.mkdir(parents=True, exist_ok=True)
    with (models_dir / ".pull.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (watcher or _LogWatcher()).note(f"waiting for another download into {models_dir}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _client(headers: Mapping[str, str] | None = None) -> httpx.Client:
    return http_client(
        timeout=TIMEOUT,
        follow_redirects=True,
        headers={"Accept-Encoding": "identity", **(headers or {})},
    )


class _UnavailableError(Exception):
    """The server does not have the file, or does not respond."""


class _BrokenOffError(Exception):
    """The server is busy, or ended its response early: a retry may help."""


@dataclass(frozen=True)
class _Download:
    client: httpx.Client
    file: CheckpointFile
    path: Path
    watcher: Watcher
    pauses: Sequence[float]

    def run(self) -> None:
        """Download the file and put it in place."""
        self.path.parent.mkdir(exist_ok=True)
        # The hash is in the name: a partial file of another version is never resumed.
        part = self.path.with_name(f".{self.path.name}.{self.file.sha256[:8]}.part")
        part.touch()
        with part.open("r+b") as out:
            out.seek(0, os.SEEK_END)
            self._check_room(out.tell())
            self._fill(out)
            os.fsync(out.fileno())
        try:
            check_sha256(part, self.file.sha256, "it was deleted; run the command again")
        except ModelError:
            part.unlink()
            raise
        part.replace(self.path)

    def _check_room(self, done: int) -> None:
        needed, free = self.file.size - done, shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise ModelError(
                f"{self.path.parent} has {free / 1e9:.1f} GB free, and {self.path.name} needs "
                f"{needed / 1e9:.1f} GB more",
                "free disk space or choose another MODELS_DIR",
            )

    def _fill(self, out: BinaryIO) -> None:
        """Retry until all bytes arrived, or too many tries in a row brought none."""
        furthest, fruitless = out.tell(), 0
        while out.tell() < self.file.size:
            try:
                self._receive(out)
            except (httpx.TransportError, _BrokenOffError) as error:
                fruitless = 0 if out.tell() > furthest else fruitless + 1
                furthest = max(furthest, out.tell())
                reason = str(error) or type(error).__name__
                if fruitless > len(self.pauses):
                    raise _UnavailableError(f"cannot fetch {self.file.url}: {reason}") from error
                self.watcher.note(f"{self.path.name}: {reason}; trying again")
                time.sleep(self.pauses[max(fruitless, 1) - 1])

    def _receive(self, out: BinaryIO) -> None:
        """Append the bytes of one response."""
        headers = {"Range": f"bytes={out.tell()}-"} if out.tell() else {}
        with self.client.stream("GET", self.file.url, headers=headers) as answer:
            if answer.status_code == httpx.codes.OK:
                out.seek(0)  # the server does not support ranges: start over
            self._check_answer(answer, out.tell())
            for chunk in answer.iter_bytes():
                if out.tell() + len(chunk) > self.file.size:
                    raise self._is_another()
                out.write(chunk)
                self.watcher.progress(self.file, out.tell())
        if out.tell() < self.file.size:
            raise _BrokenOffError("the response ended early")

    def _check_answer(self, answer: httpx.Response, start: int) -> None:
        """Check that the response contains the whole file, or its remaining part."""
        status, size = answer.status_code, self.file.size
        if status in _BUSY:
            raise _BrokenOffError(f"HTTP {status}")
        if status == httpx.codes.OK:
            right = int(answer.headers.get("Content-Length", size)) == size
        elif status == httpx.codes.PARTIAL_CONTENT:
            span = answer.headers.get("Content-Range", "")
            right = span.startswith(f"bytes {start}-") and span.endswith(f"/{size}")
        else:
            raise _UnavailableError(f"cannot fetch {self.file.url}: HTTP {status}")
        if not right:
            raise self._is_another()

    def _is_another(self) -> _UnavailableError:
        return _UnavailableError(f"{self.file.url} is not the expected file")
