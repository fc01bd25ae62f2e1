"""One image to be predicted, and what came of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Item:
    """An image on its way.

    Attributes:
        key: Names the image and its content (a generation, or size and time of a file), or a
            task with its image and the model; what is done under a key stays done.
        reference: As ``task.data`` holds it.
        data: Of the task, the image among it.
        meta: Of the task.
        task: Its id in Label Studio; None where it is not there yet.
    """

    key: str
    reference: str
    data: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    task: int | None = None

    def to_json(self) -> str:
        """As it travels between processes."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Item":
        """Back again."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Outcome:
    """What came of an item.

    Attributes:
        item: It.
        prediction: In Label Studio's terms: ``result``, ``score``, ``model_version``; None where it
            failed.
        reason: Of a failure, for people; else empty.
    """

    item: Item
    prediction: Mapping[str, Any] | None
    reason: str = ""

    @property
    def as_task(self) -> dict[str, Any]:
        """The task that Label Studio imports together with its prediction."""
        return {
            "data": dict(self.item.data),
            "meta": dict(self.item.meta),
            "predictions": [dict(self.prediction)] if self.prediction is not None else [],
        }
