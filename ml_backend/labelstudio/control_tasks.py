"""Control tasks: a random part of a project that gets no suggestions, to measure what they save."""

import hashlib
from collections.abc import Mapping
from typing import Any

CONTROL = "segstudio_control"
"""Key of a task's ``meta``."""


def is_control(meta: Any) -> bool:
    """Return whether a task with this ``meta`` is a control task."""
    return isinstance(meta, Mapping) and bool(meta.get(CONTROL))


def is_drawn(identifier: str, share: float, seed: int) -> bool:
    """Return whether a task is to be a control task.

    It depends on the identifier alone, so rows that are added to a table later change nothing for
    those before.

    Args:
        identifier: Of the task.
        share: Part of all tasks that is drawn, 0..1.
        seed: The same one draws the same tasks.
    """
    digest = hashlib.sha256(f"control\0{seed}\0{identifier}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
