"""Waiting for a condition, and looking at the processes of this machine."""

import time
from collections.abc import Callable
from pathlib import Path
from threading import Event


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until a condition holds; looks often at first, then once a second."""
    waiting = Event()
    begun = time.monotonic()
    while not condition():
        waited = time.monotonic() - begun
        if waited > seconds:
            raise AssertionError(f"not within {seconds} s")
        waiting.wait(min(1.0, max(0.1, waited / 20)))


def members(group: int) -> list[int]:
    """The living processes of a process group."""
    return [pid for pid, (state, _, pgrp) in _processes().items() if pgrp == group and state != "Z"]


def descendants(pid: int) -> list[int]:
    """The living processes that a process started, and those that they started."""
    children = [
        child
        for child, (state, parent, _) in _processes().items()
        if parent == pid and state != "Z"
    ]
    return children + [grandchild for child in children for grandchild in descendants(child)]


def alive(pid: int) -> bool:
    """Whether a process is there and not merely a zombie."""
    found = _processes().get(pid)
    return found is not None and found[0] != "Z"


def _processes() -> dict[int, tuple[str, int, int]]:
    """State, parent and process group of every process."""
    found: dict[int, tuple[str, int, int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, group = entry.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[int(entry.parent.name)] = (state, int(parent), int(group))
    return found
