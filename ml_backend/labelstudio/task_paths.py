"""Paths into a task's data, as written in a label config."""

import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"[^.\[\]]+")


def put(path: str, value: Any) -> dict[str, Any]:
    """Return task data in which ``look_up`` finds a value: the inverse of it.

    Args:
        path: Path such as ``photo.url`` or ``images[0]``; lists get one entry.
        value: Value at the path.

    Raises:
        ValueError: The path leads to another entry than the first of a list.
    """
    name, *steps = _STEP.findall(path)
    for step in reversed(steps):
        if step.isdecimal() and step != "0":
            raise ValueError(f"{path} is not the first entry")
        value = [value] if step.isdecimal() else {step: value}
    return {name: value}


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
