"""Secrets of the stack: created on the first start, one file each, readable by the group."""

import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from segstudio.data.atomic_files import atomic_write

PASSWORD = "label_studio_password"  # noqa: S105 - the name of a file
TOKEN = "label_studio_api_key"  # noqa: S105

_MAKERS: Mapping[str, Callable[[], str]] = {
    PASSWORD: lambda: secrets.token_urlsafe(12),
    TOKEN: lambda: secrets.token_hex(20),
    "postgres_password": lambda: secrets.token_urlsafe(24),
}


def make_secrets(folder: Path) -> list[str]:
    """Create the secrets that do not exist yet.

    Args:
        folder: Existing folder; all programs read it as ``SECRETS_DIR``.

    Returns:
        Names of the new secrets.
    """
    made = [name for name in _MAKERS if not (folder / name).exists()]
    for name in made:
        # Only the owner and the containers' group may read it.
        with atomic_write(folder / name, 0o640) as part:
            part.write_text(f"{_MAKERS[name]()}\n")
    return made
