"""Interfaces of models: an image is encoded once, then each prompt becomes a mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ml_backend.embedding_store.codec import Layout
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


@dataclass(frozen=True, eq=False)
class Embedding:
    """Encoded image: a value that is safe to cache, to share and to send.

    Attributes:
        height: Height of the original image in pixels.
        width: Width of the original image in pixels.
        tensors: Tensors of the model by name, on its device. Never written to.
    """

    height: int
    width: int
    tensors: Mapping[str, Tensor]

    @property
    def nbytes(self) -> int:
        """Size of the tensors in bytes."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def to_float16(self) -> "Embedding":
        """Return the embedding with float16 instead of float32, as all stores keep it."""
        tensors = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in self.tensors.items()
        }
        return Embedding(self.height, self.width, tensors)


@dataclass(frozen=True)
class Prompts:
    """Prompts for one object: a box, clicks in the order they were made, or both.

    In pixels of the original image, unless stated otherwise.
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()

    def scaled(self, across: float, down: float) -> "Prompts":
        """Return the prompts on an image of another size."""
        box = None if self.box is None else self.box.scaled(across, down)
        return Prompts(box, tuple(point.scaled(across, down) for point in self.points))


@dataclass(frozen=True, eq=False)
class Mask:
    """Mask of one object.

    Attributes:
        pixels: Mask (H, W) bool at the original image's size.
        score: IoU of the mask as estimated by the model, 0..1.
        logits: Logits, float16 or float32, in a frame chosen by the model; passed back as
            ``previous`` when the object gets another click.
    """

    pixels: npt.NDArray[np.bool_]
    score: float
    logits: npt.NDArray[np.float16 | np.float32]


class Embedder(Protocol):
    """Network that encodes images.

    Stores no image: one instance serves every labeler from several threads.
    """

    @property
    def version(self) -> str:
        """Version that changes when, and only when, the model's predictions change."""
        ...

    @property
    def device(self) -> str:
        """Device of the network: ``cpu`` or ``cuda``."""
        ...

    def layout(self, height: int, width: int) -> Layout:
        """Return the layout of ``embed(image).to_float16()`` for an image size in pixels."""
        ...

    def embed(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """Encode an image, (H, W, 3) uint8 RGB."""
        ...


class PromptableModel(Embedder, Protocol):
    """Network that finds the object of a prompt."""

    @property
    def input_side(self) -> int | None:
        """Longer side to which every picture is reduced; None if the model zooms in by itself."""
        ...

    def segment(self, embedding: Embedding, prompts: Prompts, previous: Mask | None = None) -> Mask:
        """Return the mask of one object.

        Args:
            embedding: Embedding from this model's ``embed``, possibly as float16.
            prompts: Prompts with a box or at least one point.
            previous: Mask of the same prompts without the last point or points, to be refined.
        """
        ...


@dataclass(frozen=True)
class Wanted:
    """Things to find.

    Attributes:
        phrase: Noun phrase that names them; empty if the boxes show examples.
        boxes: Boxes of examples, in fractions 0..1 of the image.
    """

    phrase: str = ""
    boxes: tuple[Box, ...] = ()


class ConceptModel(Embedder, Protocol):
    """Network that finds all things that a phrase names or that resemble an example."""

    def find(self, embedding: Embedding, wanted: Sequence[Wanted]) -> list[Instance]:
        """Return non-overlapping instances.

        Args:
            embedding: Embedding from this model's ``embed``, possibly as float16.
            wanted: Things to find; the class index of an instance is its position here, from 1.
        """
        ...


@runtime_checkable
class WithConcepts(Protocol):
    """Model whose weights can also find concepts."""

    @property
    def concepts(self) -> ConceptModel:
        """Model that finds concepts; its weights may be loaded on first use."""
        ...
