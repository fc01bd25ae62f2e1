"""Label Studio that the commands use: the configured one, else that of ``make up``."""

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
    """Access to a Label Studio.

    Attributes:
        url: Address as reached from here.
        token: Token of a user.
        project: ID of the project that ``make up`` created; None for another Label Studio.
    """

    url: str
    token: str = field(repr=False)
    project: int | None = None


def resolve_connection(settings: ProjectSettings) -> LabelStudioAccess:
    """Return the Label Studio to use, without a request.

    Raises:
        SettingsError: Address or token is missing.
        ProcessError: The state of ``make up`` is damaged.
    """
    key = settings.label_studio_api_key
    if settings.label_studio_url and key:
        return LabelStudioAccess(settings.label_studio_url, key.get_secret_value())
    if settings.label_studio_url or key:
        missing = "LABEL_STUDIO_API_KEY" if settings.label_studio_url else "LABEL_STUDIO_URL"
        raise SettingsError(f"{missing} is not set", _HINT)
    if not has_state(settings.state_dir):
        raise SettingsError("no Label Studio is known", _HINT)
    state = read_state(settings.state_dir)
    return LabelStudioAccess(label_studio_url(settings), state.token, state.project)


def settings_of_its_backends(settings: ProjectSettings) -> dict[str, Path]:
    """Return the settings of the backends next to that Label Studio, if ``make up`` runs them."""
    if settings.label_studio_url or settings.label_studio_api_key:
        return {}
    if not has_state(settings.state_dir):
        return {}
    return {"image_cache_dir": image_cache(settings.state_dir.absolute())}


def open_label_studio(settings: ProjectSettings) -> LabelStudio:
    """Return a client.

    Raises:
        SegstudioError: No Label Studio is known, or the state of ``make up`` is damaged.
    """
    access = resolve_connection(settings)
    return LabelStudio(access.url, access.token)


def backend_pair(settings: ProjectSettings, segmentation: str, sam: str) -> BackendPair:
    """Return both backends: the given addresses, else those of ``make up``."""
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
