"""State that outlives a run: the login, created on the first start, and the project."""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segstudio.data.atomic_files import atomic_write
from segstudio.errors import ProcessError


class State(BaseModel):
    """Content of ``state.json``.

    Attributes:
        email: E-mail address of the one Label Studio user.
        password: Password of that user.
        token: Legacy API token of that user.
        project: Project ID; None until it is created.
    """

    model_config = ConfigDict(frozen=True)

    email: str = "labeler@localhost"
    password: str = Field(default_factory=lambda: secrets.token_urlsafe(12))
    token: str = Field(default_factory=lambda: secrets.token_hex(20))
    project: int | None = None


@contextmanager
def state_folder(folder: Path) -> Iterator[Path]:
    """Create the folder, readable only by this user, and lock it against a second run.

    Yields:
        Absolute path of the folder.

    Raises:
        ProcessError: Another ``segstudio up`` uses the folder, or it cannot be made private.
    """
    folder = private_folder(folder)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProcessError(
                f"another `make up` is running in {folder}", "stop it, or set STATE_DIR"
            ) from None
        yield folder


def private_folder(folder: Path) -> Path:
    """Create a folder, or change an existing one, so that only this user may read it.

    Returns:
        Absolute path of the folder.

    Raises:
        ProcessError: The folder cannot be created, or belongs to another user.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise ProcessError(
            f"{folder} cannot be made readable by this user only: {error.strerror}",
            "set STATE_DIR to a folder of your own",
        ) from None
    return folder


def has_state(folder: Path) -> bool:
    """Return whether ``segstudio up`` has been started in the folder."""
    return _state_path(folder).exists()


def read_state(folder: Path) -> State:
    """Read the state; create and write it on the first start.

    Raises:
        ProcessError: The file is damaged.
    """
    path = _state_path(folder)
    if not path.exists():
        state = State()
        write_state(folder, state)
        return state
    try:
        return State.model_validate_json(path.read_bytes())
    except ValidationError:
        raise ProcessError(
            f"{path} is damaged",
            f"restore it, or move {folder} away to start over",
        ) from None


def write_state(folder: Path, state: State) -> None:
    """Write the state, readable only by this user."""
    with atomic_write(_state_path(folder), 0o600) as part:
        part.write_text(state.model_dump_json(indent=2) + "\n")


def _state_path(folder: Path) -> Path:
    return folder / "state.json"
