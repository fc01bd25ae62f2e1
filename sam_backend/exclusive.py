"""Exclusive controls: remove already labeled pixels from suggestions."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import LabeledTask, Task
from ml_backend.labelstudio.shapes import RegionError, decode_region, shape_of
from sam_backend.recent_answers import Answer, Place
from sam_backend.strokes import has_strokes, paint

Pixels = npt.NDArray[np.bool_]

SAME_THING = 0.5
"""Minimum IoU of two masks of one label that count as the same object, redrawn."""

_PIXEL_SHAPES = ("brush", "bitmask", "polygon", "vector", "ellipse")


def leave_out(
    pixels: Pixels,
    label: str | None,
    context: Context,
    task: Task,
    place: Place,
    recent: Iterable[Answer],
) -> Pixels:
    """Remove labeled pixels from a suggestion, except those of the region being refined.

    Args:
        pixels: Mask (H, W) bool of the suggestion.
        label: Label of the suggestion.
        context: Prompts of the suggestion.
        task: Task with its drafts and annotations.
        place: Image of the task.
        recent: Recent answers on that image.

    Returns:
        Mask (H, W) bool.
    """
    answers = list(recent)
    refined = {id_ for a in answers if a.context.shares(context) for id_ in a.region_ids}
    left = pixels.copy()
    for id_, drawn in _drawn(task, place, pixels.shape):
        if id_ not in refined:
            left &= ~drawn
    for answer in answers:
        if answer.mask is not None and not answer.context.shares(context):
            other = answer.mask.mask().pixels
            if other.shape == pixels.shape and not _is_same(answer, label, other, pixels):
                left &= ~other
    return left


def _is_same(answer: Answer, label: str | None, other: Pixels, pixels: Pixels) -> bool:
    """Return whether the labeler redraws the same object, having rejected a suggestion."""
    common, either = (other & pixels).sum(), (other | pixels).sum()
    return answer.label == label and bool(common > SAME_THING * either)


def _drawn(task: Task, place: Place, shape: tuple[int, ...]) -> Iterator[tuple[str, Pixels]]:
    """Yield ID and pixels of the regions in the labeler's drafts, else in the annotations.

    A draft replaces the annotation that it edits; a draft of a new annotation means that the
    annotations belong to others. A region of several results is read once.
    """
    if not isinstance(task, LabeledTask):
        return
    edited = {draft.annotation for draft in task.drafts}
    annotations = [] if None in edited else [a for a in task.annotations if a.id not in edited]
    works = (work for work in (*task.drafts, *annotations) if not work.was_cancelled)
    entries: dict[str, Mapping[str, Any]] = {}
    for work in works:
        for number, entry in enumerate(work.result or ()):
            if isinstance(entry, dict) and _is_on(entry, place):
                id_ = str(entry.get("id", number))
                # Of a region's results, the one with strokes knows most.
                if id_ not in entries or has_strokes(entry["value"]):
                    entries[id_] = entry
    for id_, entry in entries.items():
        if (pixels := _pixels(entry, shape)) is not None:
            yield id_, pixels


def _is_on(entry: Mapping[str, Any], place: Place) -> bool:
    value = entry.get("value")
    here = (entry.get("to_name"), entry.get("item_index") or 0) == (place.to_name, place.item)
    if not (here and isinstance(value, dict)):
        return False
    return shape_of(value) in _PIXEL_SHAPES or has_strokes(value)


def _pixels(entry: Mapping[str, Any], shape: tuple[int, ...]) -> Pixels | None:
    """Return the pixels of a region; None if it is damaged, or of another image size."""
    height, width = shape
    if (entry.get("original_height"), entry.get("original_width")) != (height, width):
        return None
    value = entry["value"]
    try:
        pixels = (
            decode_region(value, width, height)
            if shape_of(value)
            else np.zeros((height, width), np.bool_)
        )
    except RegionError:
        return None
    return paint(value, pixels) if has_strokes(value) else pixels
