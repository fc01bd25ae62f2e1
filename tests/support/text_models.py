"""Models that answer like SAM 3: they find what phrases name, here the colour of a thing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ml_backend.instances import Instance
from sam_backend.models.base import Embedding, Layout, Wanted

RED, GREEN, BLUE = "red", "green", "blue"
_COLOURS = (RED, GREEN, BLUE)

Pixels = npt.NDArray[np.uint8]


def things_of(image: Pixels, phrase: str, class_index: int = 1) -> Iterator[Instance]:
    """Yield each connected part of the colour that a phrase names ("red shoe"), left to right."""
    colour = next((each for each in _COLOURS if each in phrase.split()), None)
    if colour is None:
        return
    others = [number for number, each in enumerate(_COLOURS) if each != colour]
    bright = image[:, :, _COLOURS.index(colour)] > 100
    shown = bright & (image[:, :, others].max(axis=2) < 100)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(shown.astype(np.uint8))
    order = np.argsort(stats[1:, cv2.CC_STAT_LEFT]) + 1
    yield from (Instance.of(parts == number, class_index, 0.8) for number in order)


class PhraseModel:
    """What segmentation models that read text share: their classes are the names asked for."""

    def __init__(self, phrases: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self.phrases = phrases or {}

    @property
    def classes(self) -> tuple[str, ...]:
        """The names, after the background."""
        return ("background", *self.phrases) if self.phrases else ()

    def for_phrases(self, phrases: Mapping[str, tuple[str, ...]]) -> Self:
        """Return the model that finds these things."""
        return type(self)(phrases)


class ByName(PhraseModel):
    """A segmentation model whose right answer anyone can see."""

    version = "by-name"

    def presence(self, image: Pixels, phrases: Sequence[str]) -> dict[str, float]:
        """Return 0.9 for what is there, else 0.1."""
        return {each: 0.9 if any(things_of(image, each)) else 0.1 for each in phrases}

    def segment(self, images: Sequence[Pixels]) -> list[list[Instance]]:
        """Find all things of each name."""
        return [
            [
                thing
                for number, phrases in enumerate(self.phrases.values(), start=1)
                for phrase in phrases
                for thing in things_of(image, phrase, number)
            ]
            for image in images
        ]


class ColourConcepts:
    """A concept model of the sam backend; an example shows the colour in its middle."""

    version = "colour-concepts"
    device = "cpu"

    def __init__(self) -> None:
        self.embedded = 0

    def layout(self, height: int, width: int) -> Layout:
        """Return what ``embed`` holds."""
        return {"image": ((height, width, 3), torch.uint8)}

    def embed(self, image: Pixels) -> Embedding:
        """Keep the image itself."""
        self.embedded += 1
        return Embedding(image.shape[0], image.shape[1], {"image": torch.tensor(image)})

    def find(self, embedding: Embedding, wanted: Sequence[Wanted]) -> list[Instance]:
        """Find all things of each colour that is named or shown."""
        image = np.asarray(embedding.tensors["image"], np.uint8)
        return [
            thing
            for number, each in enumerate(wanted, start=1)
            for phrase in (each.phrase or _colour_in(image, each),)
            for thing in things_of(image, phrase, number)
        ]


def _colour_in(image: Pixels, wanted: Wanted) -> str:
    box = wanted.boxes[0].scaled(image.shape[1], image.shape[0])
    row, column = int((box.top + box.bottom) / 2), int((box.left + box.right) / 2)
    return _COLOURS[int(image[row, column].argmax())]
