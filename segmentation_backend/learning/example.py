"""What is learned from: annotated images, loaded one at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.uint8]

IGNORE = 255
"""Index of pixels whose label is not known."""

MOST_LABELS = 254
"""Labels that an index of 8 bits tells apart, with the background and ``IGNORE``."""


@dataclass(frozen=True, eq=False)
class Example:
    """One annotated image.

    Attributes:
        identity: SHA-256 of the image file's bytes, 64 hex digits.
        annotators: Names of those whose annotations the mask unites.
        labels: Label values that appear in the mask, without the background.
        load: Returns (H, W, 3) uint8 RGB and (H, W) uint8, an index into ``labels`` of the set,
            0 for the background or ``IGNORE``. Raises TaskError where the image is broken or has
            another size than the mask.
    """

    identity: str
    annotators: tuple[str, ...]
    labels: tuple[str, ...]
    load: Callable[[], tuple[Pixels, Indices]]


@dataclass(frozen=True, eq=False)
class LearningSet:
    """All annotated images of a project.

    Attributes:
        labels: "background", then the project's label values.
        examples: Images in the order of their tasks.
        predicted_values: Label value → the class names that the label config gives it.
    """

    labels: tuple[str, ...]
    examples: Sequence[Example]
    predicted_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Progress(Protocol):
    """Receives what a run does; either method may raise to stop the run."""

    def step(self, text: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` parts of the step ``text`` are complete."""
        ...

    def drop(self, identity: str, reason: str) -> None:
        """Report an example that cannot be used."""
        ...
