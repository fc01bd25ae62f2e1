"""Paths into a task's data, as written in a label config."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_STEP = re.compile(r"[^.\[\]]+")


_LONGEST = 1000
"""Maximum entries of a list that is written: a path may name any number."""


def place(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return task data in which ``look_up`` finds each value at its path: the inverse of it.

    Args:
        values: Paths, such as ``photo.url`` or ``images[1]``, and values other than None. Entries
            of a list that no path names are None.

    Raises:
        ValueError: A path is empty, leads too far into a list, or meets another's value.
    """
    data: dict[str, Any] = {}
    for path, value in values:
        steps = _STEP.findall(path)
        if not steps:
            raise ValueError(f"{path!r:.80} is no path")
        try:
            data |= _placed({steps[0]: data.get(steps[0])}, steps, value)
        except TypeError:
            raise ValueError(f"{path!r:.80} has the place of another image or label list") from None
    return data


def _placed(whole: Any, steps: Sequence[str], value: Any) -> Any:
    """Return a copy of an object, list or None with a value below it."""
    if not steps:
        if whole is not None:
            raise TypeError
        return value
    step, *others = steps
    if not step.isdecimal() or isinstance(whole, dict):
        if not isinstance(whole, dict | None):
            raise TypeError
        fields = whole or {}
        return {**fields, step: _placed(fields.get(step), others, value)}
    if not isinstance(whole, list | None):
        raise TypeError
    number = int(step)
    if number >= _LONGEST:
        raise ValueError(f"{step} is beyond the longest list, of {_LONGEST} entries")
    entries = [*(whole or ()), *[None] * (number + 1 - len(whole or ()))]
    entries[number] = _placed(entries[number], others, value)
    return entries


def root(path: str) -> str:
    """Return the field of the task's data that a path begins with."""
    return next(iter(_STEP.findall(path)), path)


def look_up(data: Mapping[str, Any], path: str) -> Any:
    """Follow a path such as ``photo.url`` or ``images[0]`` into a task's data.

    Returns:
        Value at the path; None if there is none.
    """
    if path in data:
        return data[path]
    value: Any = data
    for step in _STEP.findall(path):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
