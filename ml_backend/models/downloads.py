"""Weights from the web into ``MODELS_DIR``: resumed where they broke off, checked, put in place."""

import asyncio
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import httpx
import structlog

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import Checkpoint, CheckpointFile, check_sha256

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each further try; as many tries in a row may bring nothing."""

log = structlog.get_logger(__name__)

TIMEOUT = httpx.Timeout(30, connect=10)
_BUSY = {408, 425, 429, 500, 502, 503, 504}


class Watcher(Protocol):
    """Is told how it goes."""

    def progress(self, file: CheckpointFile, done: int) -> None:
        """So many bytes of a file are on disk."""

    def note(self, text: str) -> None:
        """Something that the user may wonder about."""


def pull(
    weights: Checkpoint,
    models_dir: Path,
    watcher: Watcher,
    pauses: Sequence[float] | None = None,
) -> list[CheckpointFile]:
    """Bring all files of a model into ``models_dir``; those that are there and right stay.

    A file appears under its name only when it is whole and its SHA-256 right. What a broken
    download brought stays beside it, hidden, for the next try.

    Args:
        weights: Which.
        models_dir: Made where it is missing. One pull at a time works in it; others wait.
        watcher: Is told how it goes.
        pauses: Other than ``PAUSES``.

    Returns:
        The files that were fetched.

    Raises:
        ModelError: A file cannot be had, is another than expected, or cannot be written.
    """
    try:
        with _turn(models_dir, watcher):
            files = [file for file in weights.files if not _is_right(file, models_dir)]
            asyncio.run(_Pull(models_dir, files, watcher, pauses or PAUSES).run())
    except OSError as error:
        raise ModelError(
            f"cannot write {error.filename or models_dir}: {error.strerror}",
            "make room or choose another MODELS_DIR; what was fetched is kept, and resumed",
        ) from error
    return files


def obtain(weights: Checkpoint, models_dir: Path, fallback: bool = False) -> bool:
    """Pull a model that somebody asked for by name, where files of it are not there.

    Files that are there are left as they are, right or wrong: that is for the loader to say.

    Args:
        weights: Of the model.
        models_dir: Where they belong.
        fallback: Whether another model may serve instead.

    Returns:
        Whether all files are there; False only with ``fallback``.

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
        pull(weights, models_dir, _LogWatcher())
    except ModelError as error:
        if not fallback:
            raise
        log.warning("model_fallback", asked=weights.name, reason=str(error))
        return False
    return True


class _LogWatcher:
    def progress(self, file: CheckpointFile, done: int) -> None:
        """Nobody looks at a server's progress."""

    def note(self, text: str) -> None:
        log.warning("weights_pull", note=text)


def _is_right(file: CheckpointFile, models_dir: Path) -> bool:
    try:
        file.check(models_dir)
    except ModelError:
        return False
    return True


@contextmanager
def _turn(models_dir: Path, watcher: Watcher) -> Iterator[None]:
    """Keep others, in this and in other processes, out of the folder meanwhile."""
    models_dir.mkdir(parents=True, exist_ok=True)
    with (models_dir / ".pull.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            watcher.note(f"another pull is at work in {models_dir}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _BrokenOffError(Exception):
    """The server is busy, or ended its answer early: worth another try."""


@dataclass(frozen=True)
class _Pull:
    models_dir: Path
    files: Sequence[CheckpointFile]
    watcher: Watcher
    pauses: Sequence[float]

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=True) as client:
            for file in self.files:
                await self._fetch(client, file)

    async def _fetch(self, client: httpx.AsyncClient, file: CheckpointFile) -> None:
        path = self.models_dir / file.path
        path.parent.mkdir(exist_ok=True)
        # The hash is in the name: what remains of another version is never resumed.
        part = path.with_name(f".{path.name}.{file.sha256[:8]}.part")
        part.touch()
        with part.open("r+b") as out:
            out.seek(0, os.SEEK_END)
            _check_room(part.parent, file, out.tell())
            await self._fill(client, file, out)
            os.fsync(out.fileno())
        try:
            check_sha256(part, file.sha256, "it was deleted; run the command again")
        except ModelError:
            part.unlink()
            raise
        part.replace(path)

    async def _fill(self, client: httpx.AsyncClient, file: CheckpointFile, out: BinaryIO) -> None:
        """Try until all bytes are there, or too many tries in a row brought none."""
        furthest, fruitless = out.tell(), 0
        while out.tell() < file.size:
            try:
                await self._receive(client, file, out)
            except (httpx.TransportError, _BrokenOffError) as error:
                fruitless = 0 if out.tell() > furthest else fruitless + 1
                furthest = max(furthest, out.tell())
                reason = str(error) or type(error).__name__
                if fruitless > len(self.pauses):
                    raise self._gave_up(file, reason) from error
                self.watcher.note(f"{Path(file.path).name}: {reason}; trying again")
                await asyncio.sleep(self.pauses[max(fruitless, 1) - 1])

    async def _receive(
        self, client: httpx.AsyncClient, file: CheckpointFile, out: BinaryIO
    ) -> None:
        headers = {"Accept-Encoding": "identity"}
        if out.tell():
            headers["Range"] = f"bytes={out.tell()}-"
        async with client.stream("GET", file.url, headers=headers) as answer:
            self._check_answer(answer, file, out)
            async for chunk in answer.aiter_bytes():
                if out.tell() + len(chunk) > file.size:
                    raise self._is_another(file)
                out.write(chunk)
                self.watcher.progress(file, out.tell())
        if out.tell() < file.size:
            raise _BrokenOffError("the answer ended early")

    def _check_answer(self, answer: httpx.Response, file: CheckpointFile, out: BinaryIO) -> None:
        """See that what follows is the rest of the file, or all of it."""
        if answer.status_code in _BUSY:
            raise _BrokenOffError(f"HTTP {answer.status_code}")
        if answer.status_code == httpx.codes.PARTIAL_CONTENT:
            if _range(answer) != (out.tell(), file.size):
                raise self._is_another(file)
        elif answer.status_code == httpx.codes.OK:
            out.seek(0)  # this server knows no ranges: everything comes again
            if int(answer.headers.get("Content-Length", file.size)) != file.size:
                raise self._is_another(file)
        else:
            raise self._gave_up(file, f"HTTP {answer.status_code}")

    def _is_another(self, file: CheckpointFile) -> ModelError:
        return ModelError(f"{file.url} has another file than expected", self._by_hand(file))

    def _gave_up(self, file: CheckpointFile, reason: str) -> ModelError:
        return ModelError(f"cannot fetch {file.url}: {reason}", self._by_hand(file))

    def _by_hand(self, first: CheckpointFile) -> str:
        left = self.files[self.files.index(first) :]
        ways = "; ".join(file.by_hand(self.models_dir) for file in left)
        return f"without a network: {ways}"


def _check_room(folder: Path, file: CheckpointFile, done: int) -> None:
    needed, free = file.size - done, shutil.disk_usage(folder).free
    if needed > free:
        raise ModelError(
            f"{folder} has {free / 1e9:.1f} GB free, and {Path(file.path).name} needs "
            f"{needed / 1e9:.1f} GB more",
            "make room or choose another MODELS_DIR",
        )


def _range(answer: httpx.Response) -> tuple[int, int] | None:
    """First byte and whole size, from ``Content-Range``."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    return (int(match[1]), int(match[2])) if match else None
