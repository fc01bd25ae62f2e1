"""Control tasks: a random share of a project without suggestions, to measure what they save."""

import hashlib
from collections.abc import Mapping
from typing import Any

CONTROL = "segstudio_control"
"""Key in the ``meta`` of a task that marks a control task."""


def is_control(meta: Any) -> bool:
    """Return whether a task with this ``meta`` is a control task."""
    return isinstance(meta, Mapping) and bool(meta.get(CONTROL))


def is_drawn(identifier: str, share: float, seed: int) -> bool:
    """Return whether a task is drawn as a control task.

    The choice depends only on identifier and seed, so rows added to a table later do not change
    earlier choices.

    Args:
        identifier: Identifier of the task.
        share: Fraction of all tasks to draw, 0..1.
        seed: Random seed; equal seeds draw the same tasks.
    """
    digest = hashlib.sha256(f"control\0{seed}\0{identifier}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
