"""Parse an annotation's result: answers about the whole image, and regions with pixels.

Values are percentages of ``original_width`` and ``original_height``, as in
https://labelstud.io/guide/export (and in ``ml_backend.labelstudio.mask_regions``, which writes
them).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from ml_backend.labelstudio.controls import MASK_RANKS
from ml_backend.labelstudio.label_config import Control
from ml_backend.labelstudio.shapes import shape_of

Shape = Literal[
    "brush", "bitmask", "polygon", "vector", "rectangle", "ellipse", "keypoint", "unknown"
]

Result = Mapping[str, Any]
"""One entry of an annotation's ``result``, as Label Studio stores it."""

UNLABELED = "unlabeled"
"""Label of regions that their labeler gave none."""

_LARGEST = 1e9
"""Larger sizes and angles, and infinite ones, are treated as missing."""

_VALUE_KEYS = {"textarea": "text", "pairwise": "selected"}
_PARTS: Mapping[str, type | tuple[type, ...]] = {
    "id": (str, int),
    "from_name": str,
    "type": str,
    "value": dict,
}


@dataclass(frozen=True)
class Region:
    """Region of an image.

    Attributes:
        id: Region ID, unique within an annotation.
        shape: Shape of the region, such as ``brush``.
        to_name: Name of the image tag of the region.
        labels: Labels in the order given; may be empty.
        attributes: Answers about this region, by control name.
        width: Image width in pixels, as the browser shows it.
        height: Image height in pixels, as the browser shows it.
        rotation: Rotation of the image by the labeler in degrees.
        item: Page of the image, if a tag shows several.
        value: Geometry of the region, as Label Studio stores it.
    """

    id: str
    shape: Shape
    to_name: str
    labels: tuple[str, ...]
    attributes: Mapping[str, Any]
    width: int
    height: int
    rotation: float
    item: int
    value: Mapping[str, Any] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of the region, or ``UNLABELED``."""
        return self.labels or (UNLABELED,)


@dataclass(frozen=True)
class ParsedResult:
    """Parsed result of an annotation.

    Attributes:
        answers: Answers about the image by control name, including each label that regions carry;
            answers about a region are its attributes instead.
        regions: Regions in drawing order.
        problems: Unreadable entries, as scripts may produce them: the ID, if any, and the reason.
    """

    answers: Mapping[str, list[Any]]
    regions: tuple[Region, ...]
    problems: tuple[tuple[str, str], ...]


def parse_result(result: Iterable[Result]) -> ParsedResult:
    """Parse an annotation's result.

    A region may be split into several entries with the same ID: its shape, its labels, answers
    about it. Relations between regions are ignored.
    """
    by_id: dict[str, list[Result]] = {}
    problems: list[tuple[str, str]] = []
    entries: list[Result] = []
    for entry in result:
        if not isinstance(entry, Mapping):
            problems.append(("", "a result is not an object"))
        elif not (reason := _unreadable(entry)):
            entries.append(entry)
            by_id.setdefault(str(entry["id"]), []).append(entry)
        elif entry.get("type") != "relation":
            problems.append((str(entry.get("id", "")), reason))
    regions = (_region(id_, found) for id_, found in by_id.items() if _is_region(found))
    return ParsedResult(_answers(entries), tuple(regions), tuple(problems))


def _unreadable(entry: Result) -> str:
    """Return why an entry is unreadable; empty if it is fine."""
    missing = [name for name, kind in _PARTS.items() if not isinstance(entry.get(name), kind)]
    if missing:
        return f"a result of it has no {', '.join(missing)}"
    if _gives_labels(entry) and not all(isinstance(label, str) for label in _values(entry)):
        return "its labels are not a list of strings"
    return ""


def _answers(entries: Sequence[Result]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    drawn = {entry["id"] for entry in entries if _shape(entry["value"]) != "unknown"}
    for entry in entries:
        given = found.setdefault(entry["from_name"], [])
        values = _values(entry)
        if _gives_labels(entry):
            given += [label for label in values if label not in given]
        elif entry["id"] not in drawn:
            given += values
    return {name: values for name, values in found.items() if values}


def mask_shapes(controls: Iterable[Control], *, with_boxes: bool) -> frozenset[Shape]:
    """Return the shapes that are masks in a project.

    Points never are. Rectangles are masks only if nothing finer can be drawn: next to a brush or
    polygons they are boxes, or leftover prompts of a smart tool.
    """
    finer = MASK_RANKS.keys() - {"rectangle", "keypoint"}
    drawn = any(control.shape in finer for control in controls)
    masks: frozenset[Shape] = frozenset({"brush", "bitmask", "polygon", "vector", "ellipse"})
    return masks | {"rectangle"} if with_boxes or not drawn else masks


def _region(id_: str, entries: Sequence[Result]) -> Region:
    drawn = next((each for each in entries if _shape(each["value"]) != "unknown"), entries[0])
    labels = [label for each in entries if _gives_labels(each) for label in _values(each)]
    return Region(
        id=id_,
        shape=_shape(drawn["value"]),
        to_name=str(drawn.get("to_name", "")),
        labels=tuple(dict.fromkeys(labels)),
        attributes={
            each["from_name"]: _values(each)
            for each in entries
            if not _gives_labels(each) and _has_values(each)
        },
        width=int(_number(drawn, "original_width")),
        height=int(_number(drawn, "original_height")),
        rotation=_number(drawn, "image_rotation") % 360,
        item=int(_number(drawn, "item_index")),
        value=drawn["value"],
    )


def _number(entry: Result, name: str) -> float:
    value = entry.get(name)
    return value if isinstance(value, int | float) and abs(value) <= _LARGEST else 0


def _is_region(entries: Sequence[Result]) -> bool:
    return any(_shape(each["value"]) != "unknown" or _gives_labels(each) for each in entries)


def _shape(value: Result) -> Shape:
    """Return the shape, ``unknown`` if a value has no geometry."""
    return cast("Shape", shape_of(value) or "unknown")


def _gives_labels(entry: Result) -> bool:
    return str(entry.get("type", "")).endswith("labels")


def _has_values(entry: Result) -> bool:
    kind = entry["type"]
    return _VALUE_KEYS.get(kind, kind) in entry["value"]


def _values(entry: Result) -> list[Any]:
    """Return the chosen or entered values; for an unknown kind, the whole value."""
    kind = entry["type"]
    if not _has_values(entry):
        drawn = _gives_labels(entry) or _shape(entry["value"]) != "unknown"
        return [] if drawn else [entry["value"]]
    value = entry["value"][_VALUE_KEYS.get(kind, kind)]
    return list(value) if isinstance(value, list) else [value]
