"""What the segmentation backend asks of a model: arrays in, instances out, no Label Studio."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from ml_backend.instances import Instance, Mask, box_around

__all__ = [
    "ClassMap",
    "Instance",
    "Mask",
    "SegmentationModel",
    "TextPromptedModel",
    "box_around",
    "decide",
    "pack_instances",
    "unpack_instances",
]


@dataclass(frozen=True, eq=False)
class ClassMap:
    """The class of every pixel of one photograph.

    Attributes:
        indices: (H, W) uint8, or uint16 for more than 256 classes, at the photograph's size: an
            index into ``classes`` at each pixel.
        scores: (C,) float32 in 0..1, for each class the confidence in its region; 0 where the
            class does not appear.
    """

    indices: npt.NDArray[np.unsignedinteger]
    scores: npt.NDArray[np.float32]


class SegmentationModel(Protocol):
    """A network that finds things and names their classes. Serves several threads."""

    @property
    def version(self) -> str:
        """Changes when, and only when, the model's answers change."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; index 0 is the background."""
        ...

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[list[Instance]]:
        """Find the instances in photographs.

        Args:
            images: (H, W, 3) uint8 RGB each; sizes may differ.

        Returns:
            The instances of each photograph, in order; never one of the background.
        """
        ...


@runtime_checkable
class TextPromptedModel(Protocol):
    """A network that finds what noun phrases name."""

    def for_phrases(self, phrases: Mapping[str, tuple[str, ...]]) -> SegmentationModel:
        """Return the model whose classes are these things.

        Args:
            phrases: Name of each thing → noun phrases for it, at least one.
        """
        ...

    def presence(self, image: npt.NDArray[np.uint8], phrases: Sequence[str]) -> Mapping[str, float]:
        """Return for each phrase the confidence, 0..1, that the image shows such a thing.

        Args:
            image: (H, W, 3) uint8 RGB.
            phrases: Noun phrases.
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

    One class after the other: a large photograph takes two arrays of its size, not one for each
    class. The choice is that of transformers' ``post_process_semantic_segmentation``.

    Args:
        levels: (C, h, w) logits or probabilities.
        size: (H, W) of the photograph.
        classes: Indices of those to choose from; None: all.

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
