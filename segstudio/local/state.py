"""What outlives a run: the login, made on the first start, and which project is ours."""

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segstudio.data.atomic_files import atomic_write
from segstudio.errors import ProcessError


class State(BaseModel):
    """The content of ``state.json``.

    Attributes:
        email: Of the one Label Studio user.
        password: Of that user.
        token: That user's legacy API token, for the backends and for us.
        project: Id of the project, once it is made.
    """

    model_config = ConfigDict(frozen=True)

    email: str = "labeler@localhost"
    password: str = Field(default_factory=lambda: secrets.token_urlsafe(12))
    token: str = Field(default_factory=lambda: secrets.token_hex(20))
    project: int | None = None


@contextmanager
def state_folder(folder: Path) -> Iterator[Path]:
    """Make the folder, readable by this user alone, and keep a second run out of it.

    Yields:
        Its absolute path.

    Raises:
        ProcessError: Another ``segstudio up`` uses it, or as ``private_folder``.
    """
    folder = private_folder(folder)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProcessError(
                f"another `make up` is at work in {folder}", "end it, or set STATE_DIR"
            ) from None
        yield folder


def private_folder(folder: Path) -> Path:
    """Make a folder that this user alone may read, also where it is there already.

    Returns:
        Its absolute path.

    Raises:
        ProcessError: It cannot be made, or belongs to somebody else.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise ProcessError(
            f"{folder} cannot be made readable by this user alone: {error.strerror}",
            "set STATE_DIR to a folder of your own",
        ) from None
    return folder


def has_state(folder: Path) -> bool:
    """Whether ``segstudio up`` has been started in the folder."""
    return _state_path(folder).exists()


def read_state(folder: Path) -> State:
    """Read the state; on the first start, make and write it.

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
            f"{path} is damaged", f"restore it, or move {folder} away to start afresh"
        ) from None


def write_state(folder: Path, state: State) -> None:
    """Write the state, readable by this user alone."""
    with atomic_write(_state_path(folder), 0o600) as part:
        part.write_text(state.model_dump_json(indent=2) + "\n")


def _state_path(folder: Path) -> Path:
    return folder / "state.json"
