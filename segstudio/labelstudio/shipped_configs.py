"""Label configs shipped with segstudio: package data of the wheel, or a folder of the checkout."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def _folder() -> Traversable:
    installed = files("segstudio") / "frontend_templates"
    if installed.is_dir():
        return installed
    return Path(str(files("segstudio"))).parent / "frontend_templates"


SHIPPED_CONFIGS = _folder()
"""Folder of the XML files."""
