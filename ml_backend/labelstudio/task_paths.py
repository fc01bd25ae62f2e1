"""Paths into a task's data, as written in a label config."""

import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"[^.\[\]]+")


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
