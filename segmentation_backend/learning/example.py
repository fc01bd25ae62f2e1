"""Examples for learning: annotated images, loaded one at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.uint8]

FEWEST = 8
"""Minimum number of annotated images that something can be learned from."""

IGNORE = 255
"""Index of pixels whose label is unknown."""

MOST_LABELS = 254
"""Maximum number of labels with 8-bit indices, without the background and ``IGNORE``."""


@dataclass(frozen=True, eq=False)
class Example:
    """Annotated image.

    Attributes:
        identity: SHA-256 of the image file's bytes, 64 hex digits.
        annotators: Names of the annotators whose annotations are united in the mask.
        labels: Label values that appear in the mask, without the background.
        load: Returns (H, W, 3) uint8 RGB and (H, W) uint8 indices into ``labels`` of the set, 0 for
            the background or ``IGNORE``. Raises TaskError if the image is damaged or its size
            differs from the mask's.
    """

    identity: str
    annotators: tuple[str, ...]
    labels: tuple[str, ...]
    load: Callable[[], tuple[Pixels, Indices]]


@dataclass(frozen=True, eq=False)
class LearningSet:
    """All annotated images of a project.

    Attributes:
        labels: Label values of the project, after "background".
        examples: Images in the order of their tasks.
        predicted_values: Class names given in the label config, by label value.
    """

    labels: tuple[str, ...]
    examples: Sequence[Example]
    predicted_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Progress(Protocol):
    """Receiver of a run's progress; either method may raise to stop the run."""

    def step(self, text: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` parts of the step ``text`` are complete."""
        ...

    def drop(self, identity: str, reason: str) -> None:
        """Report an example that cannot be used."""
        ...
