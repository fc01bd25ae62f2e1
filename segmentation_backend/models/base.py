"""What the segmentation backend asks of a model: arrays in, arrays out, nothing of Label Studio."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class ClassMap:
    """The class of every pixel of one photograph.

    Attributes:
        indices: (H, W) uint8 at the photograph's own size; an index into the model's ``classes``.
        scores: (C,) float32 in 0..1, for each class the model's confidence in its region; 0 where
            the class does not appear.
    """

    indices: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.float32]


class GarmentModel(Protocol):
    """A network that names the garment at every pixel. Serves several threads."""

    @property
    def version(self) -> str:
        """Changes when, and only when, the model's answers change."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; index 0 is the background."""
        ...

    def segment(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[ClassMap]:
        """Classify every pixel.

        Args:
            images: (H, W, 3) uint8 RGB each; sizes may differ.

        Returns:
            One map per image, in order.
        """
        ...


def decide(
    levels: npt.NDArray[np.float32], size: tuple[int, int], classes: Iterable[int] | None = None
) -> npt.NDArray[np.uint8]:
    """Enlarge first, then choose, so that edges are as fine as the photograph.

    One class after the other: a large photograph takes two arrays of its size, not one for each
    class. The choice is that of transformers' ``post_process_semantic_segmentation``.

    Args:
        levels: (C, h, w) logits or probabilities.
        size: (H, W) of the photograph.
        classes: Indices of those to choose from; None: all.

    Returns:
        (H, W) uint8: the class with the largest level at each pixel.
    """
    indices = np.zeros(size, np.uint8)
    best = np.full(size, -np.inf, np.float32)
    for number in range(len(levels)) if classes is None else classes:
        enlarged = cv2.resize(levels[number], size[::-1], interpolation=cv2.INTER_LINEAR)
        indices[enlarged > best] = number
        np.maximum(best, enlarged, out=best)
    return indices
