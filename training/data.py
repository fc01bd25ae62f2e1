"""Photographs with masks in a folder: ``photos/NNNN.jpg``, ``masks/NNNN.png``, ``labels.json``.

A mask is an 8-bit picture of indices into the list of names in ``labels.json``, which lies in the
folder or one above it. A folder of photographs without masks may hold ``tags.json``: the names
that appear in each photograph.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ml_backend.errors import SegstudioError
from training.taxonomy import CLASSES, class_of_name

Picture = npt.NDArray[np.uint8]
LAYOUT = "a data set is photos/NNNN.jpg, masks/NNNN.png and labels.json: docs/models/README.md"


class DataError(SegstudioError):
    """A data set, or a run to resume, is missing or invalid."""


@dataclass(frozen=True)
class Folder:
    """Data set on disk.

    Attributes:
        path: Folder with ``photos/`` and ``masks/``.
        names: Names by mask value.
    """

    path: Path
    names: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> "Folder":
        """Open a data set whose ``labels.json`` is in ``path`` or above it.

        Raises:
            DataError: There is no ``labels.json``, or no photographs.
        """
        if not any((path / "photos").glob("*.jpg")):
            raise DataError(f"{path} has no photographs", LAYOUT)
        found = [p for p in (path / "labels.json", path.parent / "labels.json") if p.is_file()]
        if not found:
            raise DataError(f"there is no labels.json in {path} or above it", LAYOUT)
        return cls(path, tuple(json.loads(found[0].read_text())))

    def photographs(self) -> list[Path]:
        """Return all photographs, sorted by name."""
        return sorted((self.path / "photos").glob("*.jpg"))

    def mask_of(self, photograph: Path) -> Picture:
        """Return (H, W) uint8 indices into ``names``.

        Raises:
            DataError: The mask is missing or damaged, or has indices beyond the names.
        """
        path = self.path / "masks" / f"{photograph.stem}.png"
        mask = _read(path, cv2.IMREAD_GRAYSCALE)
        if mask.max() >= len(self.names):
            names = f"labels.json has {len(self.names)} names"
            raise DataError(f"{path} holds the index {mask.max()}, and {names}", LAYOUT)
        return mask

    def tags(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return tags by photograph's stem: (C,) float32, 1 if the class appears in it."""
        names = json.loads((self.path / "tags.json").read_text())
        return {
            stem: presence(class_of_name(name) for name in tags) for stem, tags in names.items()
        }

    @property
    def class_table(self) -> Picture:
        """Return (256,) uint8 that maps mask values to indices in ``CLASSES``."""
        table = np.zeros(256, np.uint8)
        table[: len(self.names)] = [class_of_name(name) for name in self.names]
        return table


@dataclass(frozen=True)
class Partition:
    """The three parts of a data set.

    Attributes:
        training: Photographs that networks learn from.
        validation: Photographs that every choice is made on; never trained on.
        test: Photographs looked at once, at the end; nothing is chosen on them.
    """

    training: list[Path]
    validation: list[Path]
    test: list[Path]


def partition(photographs: Sequence[Path]) -> Partition:
    """Split by position: one in ten for validation, one in ten, starting at the fifth, for test."""
    return Partition(
        [path for number, path in enumerate(photographs) if number % 10 not in (4, 9)],
        [path for number, path in enumerate(photographs) if number % 10 == 9],
        [path for number, path in enumerate(photographs) if number % 10 == 4],
    )


def presence(classes: Iterable[int]) -> npt.NDArray[np.float32]:
    """Return (C,) float32 with 1 at ``classes`` and at the background."""
    flags = np.zeros(len(CLASSES), np.float32)
    flags[[0, *classes]] = 1
    return flags


def read_photo(path: Path) -> Picture:
    """Read a photograph as (H, W, 3) uint8 RGB.

    Raises:
        DataError: The file is missing or damaged.
    """
    return _read(path, cv2.IMREAD_COLOR)[..., ::-1].copy()


def read_mask(path: Path) -> Picture:
    """Read an 8-bit mask as (H, W) uint8.

    Raises:
        DataError: The file is missing or damaged.
    """
    return _read(path, cv2.IMREAD_GRAYSCALE)


def _read(path: Path, how: int) -> Picture:
    picture = cv2.imread(str(path), how)
    if picture is None:
        raise DataError(f"{path} is missing or damaged", LAYOUT)
    return np.asarray(picture, np.uint8)
