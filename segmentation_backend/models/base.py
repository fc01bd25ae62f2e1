"""What the segmentation backend asks of a model: arrays in, arrays out, nothing of Label Studio."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

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
