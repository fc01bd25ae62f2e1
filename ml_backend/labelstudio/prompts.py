"""Interactive context: the prompts that a labeler drew with smart tools, validated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from ml_backend.errors import PromptError
from ml_backend.geometry import Box, Point

MOST_REGIONS = 200
"""Maximum results read of a context, the last ones: two for each prompt; labelers draw a few."""

BACKGROUND = "background"
"""Label, ignoring case, of clicks on what does not belong to the previous object."""

LONGEST_TEXT = 1000
"""Characters of a typed prompt that are read."""

_LARGEST = 1e6
"""Maximum side of an image in pixels."""

_Result = TypeVar("_Result", bound=BaseModel)


@dataclass(frozen=True)
class Context:
    """Prompts for one label on one image, in fractions 0..1 of the image.

    Attributes:
        label: Label chosen by the labeler; None if the prompts have none.
        to_name: Name of the image tag drawn on.
        boxes: Rectangles in drawing order. One that a later rectangle mostly covers is dropped: the
            labeler redrew it.
        points: Clicks in drawing order.
        tool: Name of the control used for the last prompt; empty if not sent.
        item: Page drawn on, if the image tag shows several.
        size: Height and width of the image in pixels, as the browser shows it.
        ids: IDs of the prompts that have one.
        continues: Whether all prompts are clicks on the background, which remove parts of the
            previous prompts' object.
        text: Text that the labeler typed; without boxes, points or size. Empty if none was typed.
    """

    label: str | None
    to_name: str
    boxes: tuple[Box, ...] = ()
    points: tuple[Point, ...] = ()
    tool: str = ""
    item: int = 0
    size: tuple[int, int] = (1, 1)
    ids: frozenset[str] = frozenset()
    continues: bool = False
    text: str = ""

    def shares(self, other: "Context") -> bool:
        """Return whether both contexts share a prompt: by ID, else by position."""
        if self.ids and other.ids:
            return not self.ids.isdisjoint(other.ids)
        mine, theirs = ({*c.boxes, *c.points} for c in (self, other))
        return not mine.isdisjoint(theirs)

    def continued(self, later: "Context") -> "Context":
        """Return these prompts plus later clicks on the background."""
        points = (*self.points, *(each for each in later.points if each not in self.points))
        return replace(self, points=points, ids=self.ids | later.ids)


def _absent_for_null(value: Any) -> Any:
    """Drop null values, so that defaults apply."""
    if not isinstance(value, dict):
        return value
    return {name: each for name, each in value.items() if each is not None}


class _Value(BaseModel):
    model_config = ConfigDict(extra="ignore")

    x: FiniteFloat
    y: FiniteFloat
    width: FiniteFloat = 0.0
    height: FiniteFloat = 0.0
    rotation: FiniteFloat = 0.0
    rectanglelabels: list[str] = []
    keypointlabels: list[str] = []
    labels: list[str] = []

    _nulls = model_validator(mode="before")(_absent_for_null)


class _Region(BaseModel):
    model_config = ConfigDict(extra="ignore")

    type: str
    value: _Value
    id: str = ""
    from_name: str = ""
    to_name: str = ""
    item_index: int = Field(0, ge=0)
    is_positive: bool | None = None
    original_width: float = Field(1, ge=1, le=_LARGEST)
    original_height: float = Field(1, ge=1, le=_LARGEST)

    _nulls = model_validator(mode="before")(_absent_for_null)

    @property
    def is_box(self) -> bool:
        return self.type in ("rectanglelabels", "rectangle")

    @property
    def is_point(self) -> bool:
        """Whether it is a live click: clicks of a reloaded draft have no ``is_positive``."""
        return self.type in ("keypointlabels", "keypoint") and self.is_positive is not None

    @property
    def label(self) -> str | None:
        names = self.value.rectanglelabels or self.value.keypointlabels or self.value.labels
        return names[0] if names else None


class _Texts(BaseModel):
    model_config = ConfigDict(extra="ignore")

    text: list[str]


class _TypedText(BaseModel):
    """A result of ``<TextArea name="prompt" toName="image" …/>``."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["textarea"]
    from_name: Literal["prompt"]
    value: _Texts
    id: str = ""
    to_name: str = ""
    item_index: int = Field(0, ge=0)

    _nulls = model_validator(mode="before")(_absent_for_null)


@dataclass(frozen=True)
class _Prompt:
    region: _Region
    label: str | None
    is_background: bool

    @property
    def place(self) -> tuple[str, int]:
        """Image tag and page of the prompt."""
        return self.region.to_name, self.region.item_index


def parse_context(context: Any) -> Context:
    """Parse ``params.context`` of an interactive call.

    Malformed regions and those that are not prompts are ignored. The last prompt decides label,
    image and page; prompts for others are ignored.

    Raises:
        PromptError: No usable prompt is left.
    """
    prompts = _read_prompts(_result(context))
    if not prompts and (typed := _typed(_result(context))):
        return typed
    if not prompts:
        raise PromptError(
            "the context holds no rectangle or keypoint",
            "use the smart rectangle or smart keypoint tool",
        )
    last = prompts[-1]
    chosen = [each for each in prompts if (each.label, each.place) == (last.label, last.place)]
    boxes = [box for each in chosen if (box := _upright_box(each.region))]
    points = tuple(point for each in chosen if (point := _point(each)))
    continues = all(each.is_background for each in chosen)
    if not boxes and not continues and not any(point.positive for point in points):
        raise PromptError(
            "the context holds no rectangle with an area and no positive click",
            "click on the object first, then Alt+click what does not belong to it",
        )
    return Context(
        last.label,
        last.region.to_name,
        _drop_redrawn(boxes),
        points,
        size=(round(last.region.original_height), round(last.region.original_width)),
        tool=last.region.from_name,
        item=last.region.item_index,
        ids=frozenset(each.region.id for each in chosen if each.region.id),
        continues=continues,
    )


def is_empty(context: Any) -> bool:
    """Return whether the call is that of a submission, without a prompt."""
    return isinstance(context, dict) and context.get("result") == []


def has_prompts(context: Any) -> bool:
    """Return whether the labeler drew with a smart tool or typed; anything else needs no answer."""
    result = _result(context)
    return _typed(result) is not None or any(
        isinstance(each, dict) and str(each.get("type", "")).startswith(("rectangle", "keypoint"))
        for each in result
    )


def _result(context: Any) -> Sequence[Any]:
    result = context.get("result") if isinstance(context, dict) else context
    return result[-MOST_REGIONS:] if isinstance(result, list) else []


def _read(kind: type[_Result], raw: Any) -> _Result | None:
    """Return an entry of a context as a result of this kind; None if it is none."""
    try:
        return kind.model_validate(raw)
    except ValidationError:
        return None


def _typed(result: Sequence[Any]) -> Context | None:
    """Return the last text of the TextArea for prompts, which holds all that were typed so far."""
    for area in (_read(_TypedText, raw) for raw in reversed(result)):
        texts = [text.strip() for text in area.value.text] if area else []
        if area and any(texts):
            last = [text for text in texts if text][-1][:LONGEST_TEXT]
            ids = frozenset({area.id} if area.id else ())
            return Context(None, area.to_name, item=area.item_index, ids=ids, text=last)
    return None


def _read_prompts(result: Sequence[Any]) -> list[_Prompt]:
    """Return each prompt with its label, which a separate list sends as its own result.

    A click on the background belongs to the object of the previous prompt on the same image.
    """
    regions = [region for raw in result if (region := _read(_Region, raw))]
    listed = {each.id: each.label for each in regions if each.type == "labels" and each.id}
    prompts: list[_Prompt] = []
    objects: dict[tuple[str, int], str | None] = {}
    for region in regions:
        if not (region.is_box or region.is_point):
            continue
        label = region.label or listed.get(region.id)
        background = region.is_point and (label or "").casefold() == BACKGROUND
        if background:
            label = objects.get((region.to_name, region.item_index))
        else:
            objects[region.to_name, region.item_index] = label
        prompts.append(_Prompt(region, label, background))
    return prompts


def _point(prompt: _Prompt) -> Point | None:
    region = prompt.region
    if not region.is_point:
        return None
    positive = region.is_positive is True and not prompt.is_background
    return Point(_fraction(region.value.x), _fraction(region.value.y), positive)


def _upright_box(region: _Region) -> Box | None:
    """Return the bounding box of a possibly rotated rectangle; None if it is invalid."""
    if not region.is_box:
        return None
    value = region.value
    # Label Studio rotates a rectangle around its top left corner, in pixels.
    angle = math.radians(value.rotation)
    aspect = region.original_height / region.original_width
    right = (value.width * math.cos(angle), value.width * math.sin(angle) / aspect)
    down = (-value.height * math.sin(angle) * aspect, value.height * math.cos(angle))
    xs = [value.x, value.x + right[0], value.x + down[0], value.x + right[0] + down[0]]
    ys = [value.y, value.y + right[1], value.y + down[1], value.y + right[1] + down[1]]
    box = Box(*map(_fraction, (min(xs), min(ys), max(xs), max(ys))))
    # The area of tiny sides may underflow to 0.
    return box if box.left < box.right and box.top < box.bottom and box.area else None


def _fraction(percent: float) -> float:
    return min(max(percent / 100, 0.0), 1.0)


def _drop_redrawn(boxes: Sequence[Box]) -> tuple[Box, ...]:
    return tuple(
        box
        for index, box in enumerate(boxes)
        if all(box.overlap(later) <= 0.5 for later in boxes[index + 1 :])
    )
