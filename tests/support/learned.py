"""Versions of learned models for tests that need no model in them."""

from collections.abc import Callable
from pathlib import Path


def saving(content: str) -> Callable[[Path], None]:
    """Return what writes a model file with this content."""

    def save(path: Path) -> None:
        path.write_text(content)

    return save
