"""A task to predict, and the outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Item:
    """Task to predict, with one image or several.

    Attributes:
        key: Identity of the images and their content (a generation, or size and time of a file), or
            of a task with its images and the model; what is done under a key stays done.
        reference: Image reference, the first of several, for messages.
        data: Data of the task, including the images.
        meta: Metadata of the task.
        task: Task ID in Label Studio; None if it does not exist yet.
    """

    key: str
    reference: str
    data: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    task: int | None = None


@dataclass(frozen=True)
class Outcome:
    """Outcome of an item.

    Attributes:
        item: Item that was predicted.
        prediction: Prediction in Label Studio's format: ``result``, ``score``, ``model_version``;
            None on failure.
        reason: Human-readable reason of a failure; else empty.
    """

    item: Item
    prediction: Mapping[str, Any] | None
    reason: str = ""

    @property
    def as_task(self) -> dict[str, Any]:
        """Return the task with its prediction, in Label Studio's import format."""
        return {
            "data": dict(self.item.data),
            "meta": dict(self.item.meta),
            "predictions": [dict(self.prediction)] if self.prediction is not None else [],
        }
