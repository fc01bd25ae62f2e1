"""Label configs that segstudio ships: package data of the wheel, or the checkout's own folder."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def _folder() -> Traversable:
    installed = files("segstudio") / "frontend_templates"
    if installed.is_dir():
        return installed
    return Path(str(files("segstudio"))).parent / "frontend_templates"


SHIPPED_CONFIGS = _folder()
"""Folder of XML files."""
