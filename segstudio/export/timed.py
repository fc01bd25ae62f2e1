"""Answers about parts of video and audio: time ranges, and boxes with their frames."""

from collections.abc import Iterable, Mapping
from typing import Any

from ml_backend.labelstudio.annotations import LabeledProject
from ml_backend.labelstudio.label_config import Control
from ml_backend.labelstudio.results import Result

_TIMED = frozenset({"labels", "timelinelabels", "videorectangle", "videopolygon", "videovector"})
_RANGE = ("start", "end", "channel")
_TRACK = ("framesCount", "duration")


def is_timed(control: Control, project: LabeledProject) -> bool:
    """Return whether a control's answers refer to parts of video or audio."""
    return control.type in _TIMED and control.to_name in {tag.name for tag in project.media}


def timed_answers(result: Iterable[Result], control: str) -> list[dict[str, Any]]:
    """Return a control's answers about parts of video or audio.

    Args:
        result: Result of an annotation, as Label Studio stores it.
        control: Name of the control.

    Returns:
        For each part its ``labels``, and for audio ``start``, ``end`` (seconds) and ``channel``;
        for a timeline ``ranges`` (frames); for a box ``frames``, each with ``frame``, ``time``
        (seconds) and ``x``, ``y``, ``width``, ``height`` (percent) where it was set by hand.
    """
    return [
        _part(entry["value"])
        for entry in result
        if isinstance(entry, Mapping)
        and entry.get("from_name") == control
        and isinstance(entry.get("value"), Mapping)
    ]


def _part(value: Mapping[str, Any]) -> dict[str, Any]:
    labels: Any = next((value[key] for key in ("labels", "timelinelabels") if key in value), [])
    part: dict[str, Any] = {"labels": labels}
    part |= {name: value[name] for name in (*_RANGE, *_TRACK, "ranges") if name in value}
    if "sequence" in value:
        part["frames"] = value["sequence"]
    return part
