"""Clicks build on each other: every mask is refined from the mask of the clicks before."""

from ml_backend.deadline import Deadline
from sam_backend.embeddings import EmbeddingKey
from sam_backend.lru import LruCache
from sam_backend.models.base import Embedding, Mask, PromptableModel, Prompts

STRIDE = 8
"""Clicks that build on each other; the next one begins anew from all clicks so far."""

_MASK_BYTES = 64 << 20

_MaskKey = tuple[EmbeddingKey, Prompts, Prompts]
"""Of the image, the step that the chain begins with, the step that the mask answers."""


class Refiner:
    """Answers prompts with masks, as if every click had been answered one after the other.

    The answer depends on image and prompts alone, not on what this process happens to remember:
    a mask that the next one builds on is looked up, or made again.
    """

    def __init__(self, model: PromptableModel) -> None:
        self._model = model
        self._masks: LruCache[_MaskKey, Mask] = LruCache(_MASK_BYTES)

    def segment(
        self, key: EmbeddingKey, embedding: Embedding, prompts: Prompts, deadline: Deadline
    ) -> Mask:
        """Find one object; at most ``STRIDE`` + 1 calls of the model, as a rule one.

        Args:
            key: Of the embedding.
            embedding: Of the image.
            prompts: A box, or at least one positive point, or both.
            deadline: By when the answer is due.

        Raises:
            BudgetError: It cannot be given by then.
        """
        steps = chain(prompts)
        return self._refine([(key, steps[0], step) for step in steps], embedding, deadline)

    def _refine(self, steps: list[_MaskKey], embedding: Embedding, deadline: Deadline) -> Mask:
        *before, last = steps
        mask = self._masks.get(last)
        if mask is None:
            previous = self._refine(before, embedding, deadline) if before else None
            deadline.remaining()
            mask = self._model.segment(embedding, last[2], previous)
            self._masks.put(last, mask)
        return mask


def chain(prompts: Prompts) -> list[Prompts]:
    """The prompts, preceded by those that each step builds on.

    The first step stands for itself: the box, or all points up to the first positive one, or, after
    every ``STRIDE`` points, everything so far. So the work is bounded, however many clicks.
    """
    count = len(prompts.points)
    positives = (i + 1 for i, point in enumerate(prompts.points) if point.positive)
    least = 0 if prompts.box else next(positives, count)
    first = max(least, (count - 1) // STRIDE * STRIDE)
    return [Prompts(prompts.box, prompts.points[:n]) for n in range(first, count + 1)]
