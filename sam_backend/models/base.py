"""What the sam backend asks of a model: an image becomes an embedding once, each prompt a mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ml_backend.geometry import Box, Point
from ml_backend.instances import Instance

__all__ = [
    "Box",
    "ConceptModel",
    "Embedder",
    "Embedding",
    "Layout",
    "Mask",
    "Point",
    "PromptableModel",
    "Prompts",
    "Wanted",
    "WithConcepts",
]

Layout = Mapping[str, tuple[tuple[int, ...], torch.dtype]]
"""Names, shapes and types of an embedding's tensors."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """Everything a click needs to know of an image: a value, safe to cache, share and send.

    Attributes:
        height: Of the original image, in pixels.
        width: Of the original image, in pixels.
        tensors: The model's own, by name, where the model computes. Never written to.
    """

    height: int
    width: int
    tensors: Mapping[str, Tensor]

    @property
    def nbytes(self) -> int:
        """Size of the tensors in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def to_float16(self) -> "Embedding":
        """The same with float16 in place of float32: as it is kept, whoever keeps it."""
        tensors = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in self.tensors.items()
        }
        return Embedding(self.height, self.width, tensors)


@dataclass(frozen=True)
class Prompts:
    """What a labeler showed of one object: a box, clicks in the order they were made, or both.

    In pixels of the original image, unless stated otherwise.
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()

    def scaled(self, across: float, down: float) -> "Prompts":
        """The same object in an image of another size."""
        box = None if self.box is None else self.box.scaled(across, down)
        return Prompts(box, tuple(point.scaled(across, down) for point in self.points))


@dataclass(frozen=True, eq=False)
class Mask:
    """One object.

    Attributes:
        pixels: (H, W) bool at the original image's size.
        score: The model's own estimate of the mask's IoU, 0..1.
        logits: float16 or float32, in a size and frame of the model's choosing; given back as
            ``previous`` when the same object gets a further click.
    """

    pixels: npt.NDArray[np.bool_]
    score: float
    logits: npt.NDArray[np.float16 | np.float32]


class Embedder(Protocol):
    """A network that does a part of its work once for each image.

    Holds no image: one instance serves every labeler from several threads.
    """

    @property
    def version(self) -> str:
        """Changes when, and only when, the model's answers change."""
        ...

    @property
    def device(self) -> str:
        """Where it computes: ``cpu`` or ``cuda``."""
        ...

    def layout(self, height: int, width: int) -> Layout:
        """What ``embed(image).to_float16()`` holds for an image of this size, in pixels."""
        ...

    def embed(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """Do the work that is done once per image, (H, W, 3) uint8 RGB."""
        ...


class PromptableModel(Embedder, Protocol):
    """A network that finds the object a prompt points at."""

    @property
    def input_side(self) -> int | None:
        """Longer side at which it sees every picture; None where it looks closer by itself."""
        ...

    def segment(self, embedding: Embedding, prompts: Prompts, previous: Mask | None = None) -> Mask:
        """Find one object.

        Args:
            embedding: From this model's ``embed``, halved or not.
            prompts: At least a box or one point.
            previous: The mask of the same prompts less the last point or points, to be refined.
        """
        ...


@dataclass(frozen=True)
class Wanted:
    """Things to find.

    Attributes:
        phrase: Noun phrase that names them; empty where the boxes show what is meant.
        boxes: Examples, in fractions 0..1 of the image.
    """

    phrase: str = ""
    boxes: tuple[Box, ...] = ()


class ConceptModel(Embedder, Protocol):
    """A network that finds all things that a phrase names, or that look like an example."""

    def find(self, embedding: Embedding, wanted: Sequence[Wanted]) -> list[Instance]:
        """Find instances, no two of which share a pixel.

        Args:
            embedding: From this model's ``embed``, halved or not.
            wanted: Things to find; the class of an instance is its number here, from 1.
        """
        ...


@runtime_checkable
class WithConcepts(Protocol):
    """A model whose weights find concepts, too."""

    @property
    def concepts(self) -> ConceptModel:
        """The model that does; its weights may be read at its first use."""
        ...
