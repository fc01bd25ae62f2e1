"""The stack's secrets: made on the first start, one a file, for the containers' group to read."""

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
    """Make the secrets that are not there yet; those that are stay.

    Args:
        folder: That there is; the settings of all our programs read it as ``SECRETS_DIR``.

    Returns:
        The names of those that were made.
    """
    made = [name for name in _MAKERS if not (folder / name).exists()]
    for name in made:
        # Only the owner and the containers' group can read it.
        with atomic_write(folder / name, 0o640) as part:
            part.write_text(f"{_MAKERS[name]()}\n")
    return made
