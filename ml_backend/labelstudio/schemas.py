"""What Label Studio sends to an ML backend, and what it must get back.

What comes in is decoded by msgspec, which passes over the fields that nothing here reads
(annotations, drafts, earlier predictions) without building them: tens of megabytes of old masks
take no memory, and a fraction of a second in which no health check is answered. What goes out is
pydantic's, which checks it when it is made.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, Field

MOST_TASKS = 100_000
"""Tasks of one call; an entry for each must go back."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})
"""One for all tasks without data: a body of nothing but ``{}`` holds millions."""


class Task(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One task; ``data`` maps the label config's variables to values, the image's among them.

    ``meta`` is for programs: ``control_tasks`` reads it.
    """

    id: int | str | None = None
    project: Any = None
    data: Mapping[str, Any] = _NOTHING
    meta: Any = None


class PredictParams(msgspec.Struct, frozen=True):
    """``context`` is null in batch mode; with the smart tools it holds the labeler's regions."""

    context: Any = None


class PredictRequest(msgspec.Struct, frozen=True):
    """``POST /predict``."""

    tasks: Annotated[list[Task], msgspec.Meta(max_length=MOST_TASKS)]
    label_config: str
    params: PredictParams | None = None

    @property
    def context(self) -> Any:
        """The interactive context as sent; None in batch mode."""
        return self.params.context if self.params else None


class SetupRequest(msgspec.Struct, frozen=True):
    """``POST /setup``; Label Studio calls the label config ``schema`` here."""

    label_config: str = msgspec.field(name="schema")


WebhookRequest = dict[str, Any]
"""``POST /webhook``: the event's objects, and its name under ``action``."""


class Region(BaseModel):
    """One region of a prediction, in Label Studio's own terms.

    ``value`` is that of the control's type; its percentages and run lengths are relative to
    ``original_width`` x ``original_height``, the image's size after EXIF orientation. With a list
    of labels of its own, a region is two of these with one id. ``item_index`` is its page.
    """

    id: str
    from_name: str
    to_name: str
    type: str
    value: dict[str, Any]
    original_width: int
    original_height: int
    image_rotation: int = 0
    item_index: int | None = Field(default=None, exclude_if=lambda page: page is None)
    origin: Literal["prediction"] = "prediction"
    score: Annotated[float, Field(ge=0, le=1)]


class Prediction(BaseModel):
    """What one task gets. An empty ``result`` says "looked, found nothing"."""

    result: list[Region]
    score: Annotated[float, Field(ge=0, le=1)]
    model_version: str


class PredictResponse(BaseModel):
    """One entry per task, in order; an empty list says "no prediction, ask again"."""

    results: list[Prediction | Annotated[list[Any], Field(max_length=0)]]
    model_version: str
