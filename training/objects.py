"""Samples of the promptable network: a picture and one object in it, from many sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from sam_backend.models.frames import bounds
from synthetic.scenes import draw_scene
from training.clicks import Bools
from training.data import Folder, Picture, read_photo

LEAST_AREA, LEAST_SIDE = 400, 13  # pixels; smaller regions are neither trained nor evaluated
SCENES = 600  # drawn scenes kept in memory
Shown = tuple[Picture, Bools]


@dataclass(frozen=True, eq=False)
class Annotated:
    """Photograph with regions.

    Attributes:
        photo: Photograph (H, W, 3) uint8 RGB.
        mask: Indices (H, W) uint8 into the folder's names.
        regions: Mask values of regions of some size, and whether each is a garment.
    """

    photo: Picture
    mask: Picture
    regions: tuple[tuple[int, bool], ...]


@dataclass(frozen=True, eq=False)
class Found:
    """Photograph with things found without labels.

    Attributes:
        photo: Photograph (H, W, 3) uint8 RGB.
        things: Masks (N, H, W) bool, packed to bits along the last axis.
    """

    photo: Picture
    things: npt.NDArray[np.uint8]

    def mask(self, number: int) -> Bools:
        """Return the (H, W) mask of one thing."""
        return np.unpackbits(self.things[number], axis=1, count=self.photo.shape[1]).view(np.bool_)


def load_annotated(folder: Folder, photographs: Sequence[Path]) -> list[Annotated]:
    """Read photographs and find their regions: one for each name that appears."""
    found = []
    for path in tqdm(photographs, "reading photographs", leave=False):
        mask = folder.mask_of(path)
        regions = tuple(regions_of(mask, folder.names))
        if regions:
            found.append(Annotated(read_photo(path), mask, regions))
    return found


def regions_of(mask: Picture, names: Sequence[str]) -> list[tuple[int, bool]]:
    """Return the values of a mask that are regions of some size, and whether each is a garment."""
    values = [int(value) for value in np.unique(mask) if value and is_region(mask == value)]
    return [(value, names[value] not in ("hair", "skin")) for value in values]


def is_region(mask: Bools) -> bool:
    """Return whether a mask is large enough for training and evaluation."""
    box = bounds(mask)
    if box is None or mask.sum() < LEAST_AREA:
        return False
    return min(box.right - box.left, box.bottom - box.top) >= LEAST_SIDE


class Garments:
    """Regions of labeled photographs: single names, several together, whole people, parts."""

    def __init__(self, photographs: list[Annotated]) -> None:
        self.photographs = photographs
        self._index = [
            (number, value)
            for number, annotated in enumerate(photographs)
            for value, garment in annotated.regions
            for _ in range(3 if garment else 1)
        ]

    def draw(self, rng: np.random.Generator) -> Shown:
        """Return an (H, W, 3) photograph and the (H, W) mask of an object in it."""
        number, value = self._index[rng.integers(len(self._index))]
        annotated = self.photographs[number]
        garments = [v for v, garment in annotated.regions if garment]
        mask, kind = annotated.mask == value, rng.random()
        if kind < 0.04:
            mask = np.isin(annotated.mask, garments)
        elif kind < 0.08:
            mask = annotated.mask > 0
        elif kind < 0.12 and len(garments) > 2:
            mask = np.isin(annotated.mask, rng.choice(garments, 2, replace=False))
        elif kind < 0.2:
            mask = _one_part(rng, mask)
        return annotated.photo, mask if mask.any() else annotated.mask == value


class Things:
    """Things found in photographs without labels."""

    def __init__(self, found: list[Found]) -> None:
        self._found = [each for each in found if len(each.things)]

    def __len__(self) -> int:
        return len(self._found)

    def draw(self, rng: np.random.Generator) -> Shown:
        """Return an (H, W, 3) photograph and the (H, W) mask of a thing in it."""
        found = self._found[rng.integers(len(self._found))]
        return found.photo, found.mask(int(rng.integers(len(found.things))))


@lru_cache(SCENES)
def _scene(seed: int) -> tuple[Picture, list[Bools]]:
    return draw_scene(seed)


class Scenes:
    """Drawn scenes of overlapping shapes and people."""

    def draw(self, rng: np.random.Generator) -> Shown:
        """Return an (S, S, 3) drawing and the (S, S) mask of a thing in it."""
        while True:
            picture, masks = _scene(int(rng.integers(SCENES)))
            large = [mask for mask in masks if is_region(mask)]
            if large:
                return picture, large[rng.integers(len(large))]


def _one_part(rng: np.random.Generator, mask: Bools) -> Bools:
    count, parts = cv2.connectedComponents(mask.astype(np.uint8))
    part = parts == rng.integers(1, max(2, count))
    return np.asarray(part) if is_region(part) else mask
