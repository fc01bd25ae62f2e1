"""The two backends of a project: connected in their order, and shown to serve it."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from ml_backend.errors import SegstudioError
from ml_backend.taxonomy import EMBEDDED_CLASSES
from segstudio.label_studio import Connection, LabelStudio

_TIMEOUT = 5


class BackendError(SegstudioError):
    """A backend does not answer as it should."""

    kind = "backend"


@dataclass(frozen=True)
class Login:
    """What the backends ask for with basic auth; empty where they do not."""

    user: str = ""
    password: str = field(default="", repr=False)


NO_LOGIN = Login()


@dataclass(frozen=True)
class Classes:
    """What a garment model tells apart.

    Attributes:
        names: The background first.
        source: Who says so, for people.
    """

    names: tuple[str, ...]
    source: str


SHIPPED = Classes(EMBEDDED_CLASSES, "the shipped network")


def join(
    label_studio: LabelStudio,
    project: int,
    segmentation: str,
    sam: str,
    *,
    login: Login = NO_LOGIN,
) -> bool:
    """Connect the project to both backends and no older address of theirs.

    Label Studio asks the backend that was connected first for a task's prediction, so where one of
    the two is missing, or has moved, both are connected again, in order.

    Args:
        label_studio: That the project is in.
        project: Its id.
        segmentation: URL of the segmentation backend.
        sam: URL of the sam backend.
        login: Where the backends ask for one.

    Returns:
        Whether something had to be changed.
    """
    wanted = [
        Connection("Garments", segmentation.rstrip("/"), False, login.user, login.password),
        Connection("Smart tools", sam.rstrip("/"), True, login.user, login.password),
    ]
    titles = {connection.title for connection in wanted}
    ours = {
        id_: connection
        for id_, connection in label_studio.connections(project).items()
        if connection.title in titles
    }
    if list(ours.values()) == wanted:
        return False
    for id_, connection in ours.items():
        label_studio.disconnect(project, id_, connection)
    for connection in wanted:
        label_studio.connect(project, connection)
    return True


def ask_version(url: str, login: Login) -> str:
    """The model version of a backend that is ready.

    Raises:
        BackendError: It does not answer, or is not ready; says why.
    """
    return str(_ask(url, "/readyz", login).get("model_version", ""))


def ask_classes(url: str, login: Login) -> Classes:
    """What a running backend's model tells apart.

    Raises:
        BackendError: It does not answer, or is no backend of ours.
    """
    answer = _ask(url, "/versions", login)
    try:
        (version,) = answer["versions"]
        return Classes(tuple(map(str, answer["classes"])), str(version))
    except (LookupError, TypeError, ValueError):
        raise BackendError(
            f"{url} tells no classes", "is it the segmentation backend of this version?"
        ) from None


def _ask(url: str, path: str, login: Login) -> dict[str, Any]:
    auth = httpx.BasicAuth(login.user, login.password) if login.user else None
    try:
        answer = httpx.get(url.rstrip("/") + path, auth=auth, timeout=_TIMEOUT, trust_env=False)
        body = answer.json()
    except httpx.HTTPError as error:
        raise BackendError(
            f"{url} does not answer ({type(error).__name__})", "start it: make backends"
        ) from None
    except ValueError:
        raise BackendError(f"{url} is no backend: {path} gives no JSON", "check the port") from None
    if answer.is_error or not isinstance(body, dict):
        raise BackendError(f"{url}: {answer.reason_phrase or answer.status_code}")
    return body
