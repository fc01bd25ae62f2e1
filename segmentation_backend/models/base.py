"""Interfaces of segmentation models: arrays in, instances out, without Label Studio."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from ml_backend.embedding_store.metrics import EmbeddingMetrics
from ml_backend.embedding_store.settings import EmbeddingSettings
from ml_backend.instances import Instance, Mask, box_around

__all__ = [
    "ClassMap",
    "Instance",
    "Mask",
    "SegmentationModel",
    "TextPromptedModel",
    "WithStore",
    "box_around",
    "decide",
    "pack_instances",
    "unpack_instances",
]


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Class of every pixel of a photograph.

    Attributes:
        indices: Indices into ``classes`` (H, W) uint8, or uint16 for more than 256 classes, at the
            photograph's size.
        scores: Confidence (C,) float32 in each class's region, 0..1; 0 if the class does not
            appear.
    """

    indices: npt.NDArray[np.unsignedinteger]
    scores: npt.NDArray[np.float32]


class SegmentationModel(Protocol):
    """Network that finds things and names their classes. Thread-safe."""

    @property
    def version(self) -> str:
        """Version that changes when, and only when, the model's predictions change."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; index 0 is the background."""
        ...

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[Instance]]:
        """Find the instances in photographs.

        Args:
            images: Photographs (H, W, 3) uint8 RGB; sizes may differ.

        Returns:
            Instances of each photograph, in order; never one of the background.
        """
        ...


@runtime_checkable
class TextPromptedModel(Protocol):
    """Network that finds what noun phrases name."""

    def for_phrases(self, phrases: Mapping[str, tuple[str, ...]]) -> SegmentationModel:
        """Return the model whose classes are these things.

        Args:
            phrases: Noun phrases, at least one, by name of each thing.
        """
        ...

    def presence(self, image: npt.NDArray[np.uint8], phrases: Sequence[str]) -> Mapping[str, float]:
        """Return for each phrase the confidence, 0..1, that the image shows such a thing.

        Args:
            image: Photograph (H, W, 3) uint8 RGB.
            phrases: Noun phrases to look for.
        """
        ...


@runtime_checkable
class WithStore(Protocol):
    """Model that can keep what it computes once for each image or phrase."""

    def with_store(
        self, settings: EmbeddingSettings, metrics: EmbeddingMetrics
    ) -> SegmentationModel:
        """Return the model with a cache in memory, on disk and in Redis.

        Args:
            settings: Sizes and places of the cache.
            metrics: Counters of the cache.
        """
        ...


def pack_instances(instances: Sequence[Instance]) -> bytes:
    """Serialize instances for another process; a mask takes one bit a pixel of its crop."""
    return msgspec.msgpack.encode(list(instances), enc_hook=_pack_mask)


def unpack_instances(packed: bytes) -> list[Instance]:
    """Return the instances that ``pack_instances`` serialized."""
    return [
        Instance(**row | {"crop": _unpack_mask(*row["crop"]), "size": tuple(row["size"])})
        for row in msgspec.msgpack.decode(packed)
    ]


def _pack_mask(mask: Mask) -> tuple[tuple[int, ...], bytes]:
    return mask.shape, np.packbits(mask).tobytes()


def _unpack_mask(shape: Sequence[int], bits: bytes) -> Mask:
    flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=shape[0] * shape[1])
    return flat.reshape(shape).view(np.bool_)


def decide(
    levels: npt.NDArray[np.float32], size: tuple[int, int], classes: Iterable[int] | None = None
) -> npt.NDArray[np.unsignedinteger]:
    """Enlarge first, then choose, so that edges are as fine as the photograph.

    Classes are processed one by one: a large photograph takes two arrays of its size, not one
    for each class. The result is that of transformers' ``post_process_semantic_segmentation``.

    Args:
        levels: Logits or probabilities (C, h, w).
        size: Height and width of the photograph.
        classes: Indices of the classes to choose from; None: all.

    Returns:
        (H, W) uint8, uint16 for more than 256 classes: the class with the largest level.
    """
    indices = np.zeros(size, np.uint8 if len(levels) <= 256 else np.uint16)
    best = np.full(size, -np.inf, np.float32)
    for number in range(len(levels)) if classes is None else classes:
        enlarged = cv2.resize(levels[number], size[::-1], interpolation=cv2.INTER_LINEAR)
        indices[enlarged > best] = number
        np.maximum(best, enlarged, out=best)
    return indices
