"""Connect both backends to a project, in the right order, and verify them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from ml_backend.errors import LabelStudioError, SegstudioError
from ml_backend.http_clients import http_client
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.responses import Connection
from ml_backend.labelstudio.shown_version import VERSION_PREFIXES, show_version
from segmentation_backend.classes import EMBEDDED_CLASSES
from segstudio.checks import CheckResult

_TIMEOUT = 5


class BackendError(SegstudioError):
    """A backend does not respond as expected."""


@dataclass(frozen=True)
class BasicAuth:
    """Login for the backends' basic auth; empty without."""

    user: str = ""
    password: str = field(default="", repr=False)


NO_LOGIN = BasicAuth()


@dataclass(frozen=True)
class Classes:
    """Classes of a garment model.

    Attributes:
        names: Class names, the background first.
        source: Human-readable name of the model.
        learning: Whether labels without a class are learned from annotations.
        text_prompts: Whether the model finds what labels name, so that each label is a class.
        typed_prompts: Whether the sam backend's model finds what labelers type.
    """

    names: tuple[str, ...]
    source: str
    learning: bool = False
    text_prompts: bool = False
    typed_prompts: bool = False

    def __str__(self) -> str:
        if self.text_prompts:
            return "finds what labels say"
        named = self.names[1:]
        return f"{len(named)} classes: {', '.join(named)}" if named else "no classes"


SHIPPED = Classes(EMBEDDED_CLASSES, "the shipped network")
SAM3 = Classes((), "SAM 3", text_prompts=True, typed_prompts=True)


@dataclass(frozen=True)
class BackendPair:
    """The two backends of a project.

    Attributes:
        segmentation: Address of the segmentation backend as Label Studio reaches it.
        sam: Address of the sam backend as Label Studio reaches it.
        login: Login for basic auth of both backends.
    """

    segmentation: str
    sam: str
    login: BasicAuth = field(default=NO_LOGIN, kw_only=True)

    @property
    def connections(self) -> list[Connection]:
        """Return the connections of a project, in order.

        Label Studio asks the first connected backend for a task's prediction.
        """
        user, password = self.login.user, self.login.password
        return [
            Connection("Garments", self.segmentation.rstrip("/"), False, user, password),
            Connection("Smart tools", self.sam.rstrip("/"), True, user, password),
        ]

    def has(self, title: str, url: str) -> bool:
        """Return whether a connection leads to one of the two, by its title or its address."""
        title = self.plain_title(title)
        return any(title == each.title or url.rstrip("/") == each.url for each in self.connections)

    def plain_title(self, title: str) -> str:
        """Return a connection's title, where the segmentation backend's may be its version."""
        return self.connections[0].title if title.startswith(VERSION_PREFIXES) else title


def connect_backends(label_studio: LabelStudio, project: int, pair: BackendPair) -> bool:
    """Connect the project to both backends, replacing their older addresses.

    If one of the two is missing, has moved, or does not work (for example because its password
    has changed), both are connected again, in order; the old connections are removed after the
    new ones work. Other backends stay.

    With uncertainty sampling, the title of the segmentation backend becomes its model version.

    Returns:
        Whether anything was changed.

    Raises:
        LabelStudioError: Label Studio cannot reach a backend, or a backend refuses the label
            config.
    """
    wanted, before = pair.connections, connected(label_studio, project, pair)
    titled = [replace(each, title=pair.plain_title(each.title)) for each in before.values()]
    changed = titled != wanted
    if changed:
        _connect_all(label_studio, project, wanted)
        for id_, connection in before.items():
            label_studio.disconnect(project, id_, connection)
    first = next(iter(connected(label_studio, project, pair).values()))
    label_studio.show_predictions(project, first.title)
    show_version(label_studio, project, first.answer)
    return changed


def connected(label_studio: LabelStudio, project: int, pair: BackendPair) -> dict[int, Connection]:
    """Return a project's connections to the pair, in Label Studio's order."""
    return {
        id_: each
        for id_, each in label_studio.connections(project).items()
        if pair.has(each.title, each.url)
    }


def _connect_all(label_studio: LabelStudio, project: int, wanted: Sequence[Connection]) -> None:
    """Connect all of them, or none."""
    made: dict[int, Connection] = {}
    try:
        for connection in wanted:
            made[label_studio.connect(project, connection)] = connection
    except LabelStudioError:
        for id_, connection in made.items():
            label_studio.disconnect(project, id_, connection)
        raise


def check_connections(connections: Iterable[Connection]) -> list[CheckResult]:
    """Return a check of each backend: whether Label Studio reaches it, and its answer."""
    return [
        CheckResult(f"{each.title} {each.url}", "ok" if each.works else "error", each.answer)
        for each in connections
    ]


def ask_version(url: str, login: BasicAuth) -> str:
    """Return the model version of a backend that is ready.

    Raises:
        BackendError: The backend does not respond, or is not ready; says why.
    """
    return str(_get_json(url, "/readyz", login).get("model_version", ""))


def ask_classes(url: str, login: BasicAuth) -> Classes:
    """Return the classes of a running backend's model.

    Raises:
        BackendError: The address does not respond, or is not a segstudio backend.
    """
    answer = _get_json(url, "/versions", login)
    try:
        (version,) = answer["versions"]
        names = tuple(map(str, answer["classes"]))
        flags = bool(answer.get("learning")), bool(answer.get("text_prompts"))
        return Classes(names, str(version), *flags)
    except (LookupError, TypeError, ValueError):
        raise BackendError(
            f"{url} returns no classes", "check that it is the segmentation backend of this version"
        ) from None


def _get_json(url: str, path: str, login: BasicAuth) -> dict[str, Any]:
    auth = httpx.BasicAuth(login.user, login.password) if login.user else None
    try:
        with http_client(auth=auth, timeout=_TIMEOUT) as client:
            answer = client.get(url.rstrip("/") + path)
        body = answer.json()
    except httpx.HTTPError as error:
        raise BackendError(
            f"{url} does not answer ({type(error).__name__})", "start it: make backends"
        ) from None
    except ValueError:
        raise BackendError(f"{url} is not a backend: no JSON at {path}", "check the port") from None
    if answer.is_error or not isinstance(body, dict):
        raise BackendError(f"{url}: {answer.reason_phrase or answer.status_code}")
    return body
