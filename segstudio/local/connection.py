"""Which Label Studio the commands work on: the one that is named, else that of ``make up``."""

from dataclasses import dataclass, field
from pathlib import Path

from ml_backend.errors import SettingsError
from ml_backend.labelstudio.client import LabelStudio
from segstudio.labelstudio.ml_backends import BackendPair, BasicAuth
from segstudio.local.services import ADDRESS, image_cache, label_studio_url
from segstudio.local.state import has_state, read_state
from segstudio.settings import ProjectSettings

_HINT = (
    "set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY (Account & Settings in Label Studio), "
    "or start one with make up"
)


@dataclass(frozen=True)
class LabelStudioAccess:
    """How a Label Studio is reached.

    Attributes:
        url: From here.
        token: Of a user.
        project: The one that ``make up`` made; None for a Label Studio of somebody else.
    """

    url: str
    token: str = field(repr=False)
    project: int | None = None


def resolve_connection(settings: ProjectSettings) -> LabelStudioAccess:
    """Which Label Studio it is, without asking it anything.

    Raises:
        SettingsError: Address or token is missing.
        ProcessError: The state of ``make up`` is damaged.
    """
    key = settings.label_studio_api_key
    if settings.label_studio_url and key:
        return LabelStudioAccess(settings.label_studio_url, key.get_secret_value())
    if settings.label_studio_url or key:
        lacks = "LABEL_STUDIO_API_KEY" if settings.label_studio_url else "LABEL_STUDIO_URL"
        raise SettingsError(f"{lacks} is not set", _HINT)
    if not has_state(settings.state_dir):
        raise SettingsError("no Label Studio is known", _HINT)
    state = read_state(settings.state_dir)
    return LabelStudioAccess(label_studio_url(settings), state.token, state.project)


def settings_of_its_backends(settings: ProjectSettings) -> dict[str, Path]:
    """Settings of the backends beside that Label Studio, as far as ``make up`` makes them."""
    if settings.label_studio_url or settings.label_studio_api_key:
        return {}
    if not has_state(settings.state_dir):
        return {}
    return {"image_cache_dir": image_cache(settings.state_dir.absolute())}


def open_label_studio(settings: ProjectSettings) -> LabelStudio:
    """Make a client.

    Raises:
        SegstudioError: As ``resolve_connection``.
    """
    access = resolve_connection(settings)
    return LabelStudio(access.url, access.token)


def backend_pair(settings: ProjectSettings, segmentation: str, sam: str) -> BackendPair:
    """Both backends: where they are said to be, else where ``make up`` starts them."""
    at = f"http://{ADDRESS}"
    password = settings.basic_auth_pass
    login = BasicAuth(
        settings.basic_auth_user or "", password.get_secret_value() if password else ""
    )
    return BackendPair(
        segmentation or f"{at}:{settings.segmentation_port}",
        sam or f"{at}:{settings.sam_port}",
        login=login,
    )
