"""Collages: things cut from one picture and pasted into another.

In addition to annotated or drawn things, they may be openly licensed pictures with a transparent
background, as clip art packages contain them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from sam_backend.models.frames import bounds
from training import augment
from training.clicks import Bools
from training.data import Picture
from training.objects import Garments, Scenes, Shown, is_region

SIZE = (384, 384)  # of a collage, in pixels
KINDS = (0.35, 0.15, 0.5)  # how often a garment, a drawn thing, a cut-out is pasted
TEXTURED = 0.3  # how often it is filled with another photograph; drawn things always are
SCENERY = 0.4  # how often the picture pasted into is one of the open ones
LONGEST = 960  # pixels; longer side at which open pictures are kept
OPAQUE = (0.06, 0.95)  # least and largest share of a picture that a thing fills
PICTURES = (".png", ".webp", ".jpg")


@dataclass(frozen=True)
class OpenPictures:
    """Pictures without annotations, from packages.

    Attributes:
        cutouts: Encoded RGBA pictures whose opaque part is a thing, by folder; folders are drawn
            equally often.
        scenery: (H, W, 3) uint8 RGB pictures without transparency.
    """

    cutouts: tuple[tuple[bytes, ...], ...] = ()
    scenery: tuple[Picture, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "OpenPictures":
        """Sort the PNG, WebP and JPEG files below ``folder``; skips unreadable ones."""
        cutouts: dict[str, list[bytes]] = {}
        scenery = []
        paths = sorted(path for path in folder.rglob("*") if path.suffix in PICTURES)
        for path in tqdm(paths, "reading open pictures", leave=False):
            encoded = path.read_bytes()
            picture = _decode(encoded)
            if picture is None or picture.ndim < 3:
                continue
            if picture.shape[2] == 3:
                scenery.append(_reduced(picture)[..., ::-1].copy())
            elif OPAQUE[0] < (picture[..., 3] > 127).mean() < OPAQUE[1]:
                cutouts.setdefault(path.relative_to(folder).parts[0], []).append(encoded)
        return cls(tuple(tuple(each) for each in cutouts.values()), tuple(scenery))

    def draw(self, rng: np.random.Generator) -> Shown:
        """Return an (H, W, 3) RGB picture and the (H, W) mask of the thing in it."""
        files = self.cutouts[rng.integers(len(self.cutouts))]
        picture = _decode(files[rng.integers(len(files))])
        assert picture is not None  # noqa: S101 - ``read`` decoded it
        picture = _reduced(picture)
        return picture[..., 2::-1].copy(), picture[..., 3] > 127


def _decode(encoded: bytes) -> Picture | None:
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint8:
        return None
    return np.asarray(picture, np.uint8)


def _reduced(picture: Picture) -> Picture:
    shrink = min(1.0, LONGEST / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


class Collages:
    """One to three things in an unrelated picture, some with another picture's texture.

    Args:
        photos: Pictures to paste into, and to take textures from.
        garments: Things to paste.
        scenes: Drawn things to paste.
        pictures: More things and pictures.
    """

    def __init__(
        self,
        photos: Sequence[Picture],
        garments: Garments,
        scenes: Scenes,
        pictures: OpenPictures | None = None,
    ) -> None:
        self._photos, self._pictures = photos, pictures or OpenPictures()
        self._things = (garments, scenes, self._pictures)
        shares = np.array(KINDS) * (1, 1, bool(self._pictures.cutouts))
        self._shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator) -> Shown:
        """Return a collage of ``SIZE`` and the mask of the visible part of a thing in it."""
        while True:
            picture = self._view(rng)
            masks: list[Bools] = []
            for _ in range(rng.integers(1, 4)):
                cut, mask = self._cut_out(rng)
                _paste(rng, picture, cut, mask)
                masks = [earlier & ~mask for earlier in masks] + [mask]
            large = [mask for mask in masks if is_region(mask)]
            if large:
                return picture, large[rng.integers(len(large))]

    def _view(self, rng: np.random.Generator) -> Picture:
        """Return a part of a picture."""
        scenery = self._pictures.scenery
        pool = scenery if scenery and rng.random() < SCENERY else self._photos
        photo = pool[int(rng.integers(len(pool)))]
        return augment.warp(photo, augment.random_view(rng, photo.shape[:2], SIZE), SIZE)

    def _cut_out(self, rng: np.random.Generator) -> Shown:
        """Return a picture of ``SIZE`` and the mask of a thing of some size in it."""
        kind = rng.choice(len(self._things), p=self._shares)
        source, mask = self._things[kind].draw(rng)
        view = _placed(rng, mask)
        placed = cv2.warpAffine(mask.astype(np.uint8) * 255, view, SIZE)
        if kind == 1 or rng.random() < TEXTURED:
            source = self._view(rng)
        else:
            source = augment.warp(source, view, SIZE)
            placed = cv2.erode(placed, np.ones((3, 3), np.uint8))
        return (augment.recolour(rng, source) if rng.random() < 0.5 else source), placed > 127


def _placed(rng: np.random.Generator, mask: Bools) -> augment.Matrix:
    """Return a (2, 3) matrix from the picture of a thing to its place in the collage."""
    box = bounds(mask)
    assert box is not None  # noqa: S101 - things are never empty
    side = max(box.right - box.left, box.bottom - box.top)
    scale = SIZE[0] * np.exp(rng.uniform(np.log(0.12), np.log(0.9))) / side
    angle = np.deg2rad(rng.normal(0, 25))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.exp(rng.normal(0, 0.15))
    linear = scale * turn @ np.diag([stretch, 1 / stretch])
    middle = np.array(((box.left + box.right) / 2, (box.top + box.bottom) / 2))
    return np.column_stack([linear, rng.uniform(0.2, 0.8, 2) * SIZE[0] - linear @ middle])


def _paste(rng: np.random.Generator, picture: Picture, cut: Picture, mask: Bools) -> None:
    """Blend a thing into a picture of the same size, in place."""
    box = bounds(mask)
    if box is None:
        return
    rows = slice(max(int(box.top) - 4, 0), int(box.bottom) + 4)
    columns = slice(max(int(box.left) - 4, 0), int(box.right) + 4)
    soft = mask[rows, columns].astype(np.float32)
    share = cv2.GaussianBlur(soft, (0, 0), rng.uniform(0.5, 1.3))[..., None]
    below = picture[rows, columns]
    picture[rows, columns] = (below * (1 - share) + cut[rows, columns] * share).astype(np.uint8)
