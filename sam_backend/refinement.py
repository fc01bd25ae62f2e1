"""Clicks build on each other: a mask is refined from the mask of the clicks before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_backend.deadline import Deadline
from sam_backend.embeddings import EmbeddingKey
from sam_backend.models.base import Embedding, Mask, PromptableModel, Prompts
from sam_backend.stores.lru import LruCache

STEPS = 8
"""Clicks that build on each other one by one; all later ones together build on the last of these.

So the work is bounded, however many clicks. On drawn figures with the embedded model, 20 corrective
clicks ended at IoU 0.884 this way, and at 0.891 when each built on the one before.
"""

_MASK_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Found:
    """What all prompts of a labeler show together.

    Attributes:
        pixels: (H, W) bool at the original image's size.
        score: The least of the objects'.
    """

    pixels: npt.NDArray[np.bool_]
    score: float

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.pixels.nbytes


class Refiner:
    """Answers prompts with masks, as if every click had been answered one after the other.

    The answer depends on image and prompts alone, not on what this process happens to remember:
    a mask that the next one builds on is looked up, or made again.
    """

    def __init__(self, model: PromptableModel) -> None:
        self._model = model
        self._masks: LruCache[tuple[EmbeddingKey, Prompts], Mask] = LruCache(_MASK_BYTES)
        self._found: LruCache[tuple[EmbeddingKey, tuple[Prompts, ...]], Found] = LruCache(
            _MASK_BYTES
        )

    def find(
        self,
        key: EmbeddingKey,
        embedding: Embedding,
        objects: Sequence[Prompts],
        deadline: Deadline,
    ) -> Found:
        """One mask of all objects; arguments and errors as of ``segment``.

        Boxes come one by one, all earlier ones with each: what these show together is kept, so that
        the hundredth takes no longer than the first.
        """
        wanted = tuple(objects)
        count = len(wanted)
        while count and not self._found.has((key, wanted[:count])):
            count -= 1
        found = self._found.get((key, wanted[:count]))
        for done in range(count if found else 0, len(wanted)):
            mask = self.segment(key, embedding, wanted[done], deadline)
            found = Found(
                mask.pixels | found.pixels if found else mask.pixels,
                min(mask.score, found.score) if found else mask.score,
            )
            self._found.put((key, wanted[: done + 1]), found)
        if found is None:
            raise ValueError("no object")
        return found

    def segment(
        self, key: EmbeddingKey, embedding: Embedding, prompts: Prompts, deadline: Deadline
    ) -> Mask:
        """Find one object; as a rule one call of the model, at most ``STEPS`` + 2.

        Args:
            key: Of the embedding.
            embedding: Of the image.
            prompts: A box, or at least one positive point, or both.
            deadline: By when the answer is due.

        Raises:
            BudgetError: It cannot be given by then.
        """
        mask = self._masks.get((key, prompts))
        if mask is None:
            before = earlier(prompts)
            previous = self.segment(key, embedding, before, deadline) if before else None
            deadline.remaining()
            mask = self._model.segment(embedding, prompts, previous)
            self._masks.put((key, prompts), mask)
        return mask


def earlier(prompts: Prompts) -> Prompts | None:
    """The prompts whose mask these build on.

    Returns:
        The same less the last point, or less all after the first ``STEPS``; None where that would
        leave neither a box nor a positive point.
    """
    count = len(prompts.points)
    positives = (i + 1 for i, point in enumerate(prompts.points) if point.positive)
    least = 0 if prompts.box else next(positives, count)
    kept = max(least, min(count - 1, STEPS))
    return Prompts(prompts.box, prompts.points[:kept]) if kept < count else None
