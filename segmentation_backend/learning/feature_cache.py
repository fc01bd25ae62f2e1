"""Disk cache of image features, so that each annotated image is encoded once."""

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from segmentation_backend.learning.features import Features

LARGEST: Final = 2_000_000_000  # bytes


class FeatureCache:
    """Folder with a file for each image; the least recently used ones are evicted.

    An unwritable folder makes runs slower, but does not stop them.

    Args:
        folder: Folder of the files, created on the first write.
        version: Version of the extractor; features of other versions are ignored.
        largest: Maximum size of all files in bytes.
    """

    def __init__(self, folder: Path, version: str, largest: int = LARGEST) -> None:
        self._folder = folder
        self._version = version
        self._largest = largest
        self._free = 0  # bytes; looked up on the first write

    def get(self, identity: str, extract: Callable[[], Features]) -> Features:
        """Return the features of an image, extracted if they are not cached.

        Args:
            identity: SHA-256 of the image, in hex.
            extract: Function that extracts missing features.
        """
        path = self._folder / f"{identity}-{self._version}.safetensors"
        try:
            levels = load_file(path)
            os.utime(path)
            return Features(tuple(levels[str(number)] for number in range(len(levels))))
        except (OSError, SafetensorError, KeyError):
            features = extract()
        with suppress(OSError, SafetensorError):
            self._write(path, features)
        return features

    def _write(self, path: Path, features: Features) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".{uuid.uuid4().hex}.part"
        try:
            save_file({str(n): level for n, level in enumerate(features.levels)}, part)
            self._make_room(part.stat().st_size)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, needed: int) -> None:
        """Delete the least recently used files, a tenth of all, because finding them is slow."""
        self._free -= needed
        if self._free >= 0:
            return
        files = sorted((each.stat().st_mtime, each) for each in self._folder.iterdir())
        taken = sum(each.stat().st_size for _, each in files)
        for _, each in files:
            if taken + needed <= 0.9 * self._largest:
                break
            taken -= each.stat().st_size
            each.unlink()
        self._free = self._largest - taken - needed
