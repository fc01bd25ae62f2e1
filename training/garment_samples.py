"""Samples of the garment network: random views of photographs, and drawn people."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset
from tqdm import tqdm

from synthetic.people import draw_figure
from training import augment
from training.data import Folder, Picture, presence, read_photo
from training.taxonomy import CLASSES

UNKNOWN = 255  # one of the classes that the tags allow
DISPUTED = 254  # the tags and the network contradict each other: nothing is learned there
Sample = tuple[Picture, Picture, npt.NDArray[np.float32]]  # photo, labels at half size, tags
FREQUENT = 0.15  # a class in a larger share of the photographs needs no repeating
KEPT = (576, 384)  # the size photographs are kept in memory at
PASTED = tuple(map(CLASSES.index, ("hat", "scarf-gloves", "bag-belt")))
ADORNED = 0.2  # share of the views of people that get one of these from another person


@dataclass(frozen=True, eq=False)
class Example:
    """Photograph in memory.

    Attributes:
        photo: Photograph (576, 384, 3) uint8 RGB.
        labels: Labels (h, w) uint8 in their own size; 255: unknown, 254: disputed.
        tags: Possible classes, (C,) float32.
    """

    photo: Picture
    labels: Picture
    tags: npt.NDArray[np.float32]


def load_labelled(folder: Folder, photographs: Sequence[Path]) -> list[Example]:
    """Read photographs with their masks."""
    examples = []
    for path in tqdm(photographs, "reading photographs", leave=False):
        labels = folder.class_table[_fit(folder.mask_of(path), cv2.INTER_NEAREST)]
        examples.append(
            Example(_fit(read_photo(path), cv2.INTER_AREA), labels, presence(np.unique(labels)))
        )
    return examples


def load_tagged(folder: Path) -> list[Example]:
    """Read photographs with tags and without masks; none if the folder does not exist."""
    if not (folder / "tags.json").is_file():
        return []
    source = Folder(folder, ())
    tags = source.tags()
    blank = np.full((2, 2), UNKNOWN, np.uint8)
    return [
        Example(_fit(read_photo(path), cv2.INTER_AREA), blank, tags[path.stem])
        for path in tqdm(source.photographs(), "reading tagged photographs", leave=False)
        if path.stem in tags
    ]


def _fit(picture: Picture, method: int) -> Picture:
    return np.asarray(cv2.resize(picture, KEPT[::-1], interpolation=method), np.uint8)


def repeat_factors(examples: Sequence[Example]) -> npt.NDArray[np.float64]:
    """Return sampling weights that sum to 1: examples with rare classes more often (as LVIS)."""
    if not examples:
        return np.zeros(0)
    tags = np.stack([example.tags for example in examples]).astype(np.float64)
    rarity = np.sqrt(FREQUENT / np.maximum(tags.mean(0), 1e-3)).clip(1, 4)
    factors = (tags * rarity).max(1).clip(1)
    return np.asarray(factors / factors.sum())


class Views(Dataset[Sample]):
    """Sample ``i`` is a random view of a random photograph, the same for the same seed."""

    def __init__(
        self,
        labelled: list[Example],
        tagged: list[Example],
        size: tuple[int, int],
        seed: int,
        drawn: float,
        zoom: tuple[float, float] = augment.ZOOM,
        share: float = 0.28,
    ) -> None:
        """See ``Chapter``; ``share`` is that of ``tagged``."""
        self.labelled, self.tagged, self.size, self.seed = labelled, tagged, size, seed
        self.drawn, self.zoom, self.share = drawn, zoom, share
        self.chances = [repeat_factors(examples) for examples in (labelled, tagged)]
        self.donors = {number: [e for e in labelled if e.tags[number]] for number in PASTED}

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.seed, index))
        kind = rng.random()
        if kind < self.drawn:
            return self._figure(rng)
        if kind < self.drawn + self.share and self.tagged:
            return self._view(rng, self.tagged[rng.choice(len(self.tagged), p=self.chances[1])])
        return self._view(rng, self.labelled[rng.choice(len(self.labelled), p=self.chances[0])])

    def _figure(self, rng: np.random.Generator) -> Sample:
        rows, columns = self.size
        drawn = draw_figure(int(rng.integers(2**31)), rows, columns)
        labels = np.zeros(self.size, np.uint8)
        for name, mask in (*drawn.masks.items(), *drawn.body.items()):
            labels[mask] = CLASSES.index(name)
        half = np.ascontiguousarray(labels[::2, ::2])
        return augment.recolour(rng, drawn.image), half, presence(np.unique(half))

    def _view(self, rng: np.random.Generator, example: Example) -> Sample:
        view = augment.random_view(rng, KEPT, self.size, self.zoom)
        photo = augment.warp(example.photo, view, self.size)
        half = (self.size[0] // 2, self.size[1] // 2)
        labels = augment.warp_labels(example.labels, _between(view, example.labels.shape), half)
        if rng.random() < ADORNED and _person(labels).any():
            photo, labels = self._adorned(rng, photo, labels, view, example)
        whole = not (labels >= DISPUTED).any()
        if whole and rng.random() < 0.15:
            photo = augment.replace_background(rng, photo, labels == 0)
        seen = presence(np.unique(labels[labels < DISPUTED]))
        tags = seen if whole else np.maximum(seen, example.tags)
        return augment.recolour(rng, photo), labels, tags

    def _adorned(
        self,
        rng: np.random.Generator,
        photo: Picture,
        labels: Picture,
        view: augment.Matrix,
        example: Example,
    ) -> tuple[Picture, Picture]:
        """Return photo and labels of a view with a hat, scarf or bag of another person."""
        number = int(rng.choice(PASTED))
        donors = self.donors[number]
        if not donors:
            return photo, labels
        donor = donors[rng.integers(len(donors))]
        moved = _after(view, _onto(_body(donor.labels), _body(example.labels)))
        half = (labels.shape[0], labels.shape[1])
        found = augment.warp_labels(donor.labels, _between(moved, donor.labels.shape), half)
        shape = (found == number).astype(np.uint8)
        wide = cv2.resize(shape, self.size[::-1], interpolation=cv2.INTER_NEAREST)[..., None] > 0
        pasted = np.where(wide, augment.warp(donor.photo, moved, self.size), photo)
        return pasted, np.where(shape > 0, np.uint8(number), labels)


def _between(view: augment.Matrix, labels: tuple[int, ...]) -> augment.Matrix:
    """Return ``view`` from the pixels of a label picture to those of the half-size target."""
    grow = np.diag((KEPT[1] / labels[1], KEPT[0] / labels[0]))
    return np.column_stack([view[:, :2] @ grow / 2, view[:, 2] / 2])


def _person(labels: Picture) -> npt.NDArray[np.bool_]:
    return np.asarray((labels != 0) & (labels < DISPUTED))


def _body(labels: Picture) -> tuple[float, float, float]:
    """Return middle, top and height of a person, in pixels of ``KEPT``."""
    person = _person(labels)
    rows, columns = np.flatnonzero(person.any(1)), np.flatnonzero(person.any(0))
    down, across = KEPT[0] / labels.shape[0], KEPT[1] / labels.shape[1]
    middle = (columns[0] + columns[-1]) / 2 * across
    return middle, rows[0] * down, (rows[-1] + 1 - rows[0]) * down


def _onto(source: tuple[float, float, float], target: tuple[float, float, float]) -> augment.Matrix:
    """Return the (2, 3) matrix that maps one person's box to another's, both from ``_body``."""
    grow = target[2] / source[2]
    return np.array(
        [[grow, 0, target[0] - grow * source[0]], [0, grow, target[1] - grow * source[1]]]
    )


def _after(second: augment.Matrix, first: augment.Matrix) -> augment.Matrix:
    """Return the product of both (2, 3) matrices."""
    return np.asarray(second @ np.vstack([first, (0, 0, 1)]))
