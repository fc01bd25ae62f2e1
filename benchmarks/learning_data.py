"""Photographs with masks for measuring learning: labels that the shipped model does not have."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from segmentation_backend.learning.example import IGNORE, Example
from training.data import partition, read_mask, read_photo

Pixels = npt.NDArray[np.uint8]

THINGS: Final = (
    *("cow", "horse", "sheep", "aeroplane", "face", "car", "bicycle", "flower", "sign"),
    *("bird", "book", "chair", "cat", "dog", "body", "boat"),
)
"""The labels of the everyday photographs; grass, sky and the like are background."""

FINER: Final = {
    "blazer": "blazer",
    "jacket": "jacket",
    "cardigan": "cardigan",
    "sweater": "sweater jumper sweatshirt hoodie",
    "t-shirt": "t-shirt",
    "blouse": "blouse",
    "shirt": "shirt",
    "top": "top vest",
    "jeans": "jeans",
    "pants": "pants",
    "shorts": "shorts",
    "leggings": "leggings",
    "tights": "tights stockings",
    "boots": "boots",
    "heels": "heels pumps wedges",
    "shoes": "shoes flats loafers sneakers clogs sandals",
    "bag": "bag purse wallet",
    "belt": "belt",
}
"""18 labels, most of them finer than the shipped network's, and the names in Clothing Co-Parsing
that are one; all others, such as skin, hair and dress, are background."""


@dataclass(frozen=True)
class DataSet:
    """Annotated photographs.

    Attributes:
        name: Name in tables.
        labels: "background" and the labels.
        learnable: Photographs to draw from.
        apart: Photographs to measure on; empty: those that were not drawn.
    """

    name: str
    labels: tuple[str, ...]
    learnable: Sequence[Example]
    apart: Sequence[Example] = ()

    def draw(self, count: int, seed: int) -> list[Example]:
        """Draw ``count`` photographs without a second look."""
        order = np.random.default_rng(seed).permutation(len(self.learnable))
        return [self.learnable[number] for number in order[:count]]

    def unseen(self, drawn: Sequence[Example]) -> list[Example]:
        """Return the photographs to measure on."""
        seen = {each.identity for each in drawn}
        return [each for each in self.apart or self.learnable if each.identity not in seen]


def everyday(folder: Path) -> DataSet:
    """Read half of MSRC v2: ``photos/``, ``classes/`` and ``classes.json``."""
    names: dict[str, str] = json.loads((folder / "classes.json").read_text())
    table = np.zeros(256, np.uint8)
    for number, name in names.items():
        table[int(number)] = IGNORE if name == "void" else _index(name, THINGS)
    photos = sorted((folder / "photos").glob("*.jpg"))
    read = [_example(path, folder / "classes", table, THINGS) for path in photos]
    return DataSet("everyday things", ("background", *THINGS), read)


def clothing(folder: Path) -> DataSet:
    """Read Clothing Co-Parsing: draws from the training part, measured on the validation part."""
    names: list[str] = json.loads((folder / "labels.json").read_text())
    owner = {name: label for label, members in FINER.items() for name in members.split()}
    table = np.zeros(256, np.uint8)
    for number, name in enumerate(names):
        table[number] = _index(owner.get(name, ""), tuple(FINER))
    parts = partition(sorted((folder / "labelled/photos").glob("*.jpg")))
    masks = folder / "labelled/masks"
    learnable, apart = (
        [_example(path, masks, table, tuple(FINER)) for path in part]
        for part in (parts.training, parts.validation)
    )
    return DataSet("clothing, 18 finer labels", ("background", *FINER), learnable, apart)


def _index(name: str, labels: tuple[str, ...]) -> int:
    return labels.index(name) + 1 if name in labels else 0


def _example(photo: Path, masks: Path, table: Pixels, labels: tuple[str, ...]) -> Example:
    load = partial(_load, photo, masks / f"{photo.stem}.png", table)
    values = table[np.unique(read_mask(masks / f"{photo.stem}.png"))]
    present = tuple(labels[value - 1] for value in np.unique(values) if 0 < value < IGNORE)
    return Example(hashlib.sha256(photo.read_bytes()).hexdigest(), ("",), present, load)


def _load(photo: Path, mask: Path, table: Pixels) -> tuple[Pixels, Pixels]:
    return read_photo(photo), table[read_mask(mask)]
