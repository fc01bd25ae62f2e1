"""Image files: fetched once, kept until the export is complete, then put in place."""

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from ml_backend.errors import ImageDecodeError, TaskError
from ml_backend.images import ImageSource
from ml_backend.images.base import TaskAccess
from segstudio.data.atomic_files import atomic_write
from segstudio.export.pictures import PictureFile

_FETCHES = 8


@dataclass(frozen=True)
class FetchedImage:
    """Result of fetching one image; ``reason`` says why it failed, if it did."""

    picture: PictureFile
    reason: str = ""


@dataclass
class ImageFiles:
    """Image files, as their sources store them.

    They are kept in a folder next to the output until the export succeeds, so the same command
    continues after an interruption.

    Attributes:
        folder: Folder that keeps the files.
        open_source: Opens the image loader when the first image is needed.
    """

    folder: Path
    open_source: Callable[[], ImageSource]

    def fetch(self, pictures: Iterable[PictureFile]) -> Iterator[FetchedImage]:
        """Fetch several images at a time; existing files are not fetched again.

        A file that several pictures show is fetched once.
        """
        self.folder.mkdir(exist_ok=True)
        source = self._source
        pool = ThreadPoolExecutor(_FETCHES, thread_name_prefix="fetch")
        begun: dict[Path, Future[str]] = {}
        waiting: list[tuple[PictureFile, Future[str]]] = []
        try:
            for each in pictures:
                path = self._path(each)
                if path not in begun:
                    begun[path] = pool.submit(self._fetch, source, each)
                waiting.append((each, begun[path]))
            for each, reason in waiting:
                yield FetchedImage(each, reason.result())
        finally:
            pool.shutdown(cancel_futures=True)

    def find(self, picture: PictureFile) -> Path | None:
        """Return the path of an image's file; None if it could not be fetched."""
        path = self._path(picture)
        return path if path.is_file() else None

    def place(self, picture: PictureFile, target: Path) -> None:
        """Put an image's file in place, if it was fetched, as a hard link where possible."""
        path = self.find(picture)
        if path is None or target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)

    def remove(self) -> None:
        """Remove the folder, when all files are in place."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @cached_property
    def _source(self) -> ImageSource:
        return self.open_source()

    def _fetch(self, source: ImageSource, picture: PictureFile) -> str:
        """Fetch an image unless its file exists; return why it failed, if it did."""
        path = self._path(picture)
        if path.is_file():
            return ""
        try:
            access = TaskAccess(picture.task)
            data = source.open(picture.reference, access=access).data
            _check_image(data)
        except TaskError as error:
            return error.message
        with atomic_write(path) as part:
            part.write_bytes(data)
        return ""

    def _path(self, picture: PictureFile) -> Path:
        reference = picture.address or picture.reference
        digest = hashlib.sha256(reference.encode(errors="replace")).hexdigest()
        return self.folder / f"{digest}{PurePosixPath(picture.file_name).suffix}"


def _check_image(data: bytes) -> None:
    try:
        with Image.open(io.BytesIO(data)):
            pass
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ImageDecodeError(f"the file is not an image: {error}") from error
