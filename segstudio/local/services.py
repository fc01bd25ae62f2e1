"""Commands and environment variables of the four programs."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ml_backend.http_clients import LOOPBACK, trusts_proxies
from segstudio.local.processes import Program
from segstudio.local.state import State
from segstudio.settings import UpSettings

ADDRESS = "127.0.0.1"

_PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "STORAGE_EMULATOR_HOST"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

# Label Studio's own list of banned addresses, without loopback and private networks, where the
# backends are: it refuses to connect a backend whose webhook it would refuse. Metadata servers of
# clouds stay banned.
_BANNED_SUBNETS = (
    *("0.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24"),
    *("192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
    *("::/128", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/32", "100::/64", "2001::/23"),
    *("2001:db8::/32", "2002::/16", "fd00:ec2::/32", "fe80::/10", "ff00::/8"),
)

_LABEL_STUDIO = {
    "LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS": "false",
    "LABEL_STUDIO_USER_ADDITIONAL_BANNED_SUBNETS": ",".join(_BANNED_SUBNETS),
    # The token created here is a legacy one, which needs no exchange and does not expire.
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    # No telemetry.
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
    "LOG_LEVEL": "WARNING",
    "PYTHONUNBUFFERED": "1",
}


LEARNER = (sys.executable, "-m", "segmentation_backend.learning")


def label_studio_url(settings: UpSettings) -> str:
    """Return the address of Label Studio for programs on this machine."""
    return f"http://{ADDRESS}:{settings.label_studio_port}"


def label_studio(settings: UpSettings, folder: Path, state: State) -> Program:
    """Return Label Studio with its database and files under ``folder``.

    It gets a clean environment: it reads dozens of plain names (``HOST``, ``CI``, ``DEBUG``)
    that the caller may have set for other reasons.
    """
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return Program(
        name="label-studio",
        command=(
            str(settings.label_studio_venv.absolute() / "bin" / "label-studio"),
            *("start", "--no-browser", "--internal-host", ADDRESS),
            *("--port", str(settings.label_studio_port)),
        ),
        environment=environment
        | _proxies()
        | _LABEL_STUDIO
        | {
            "LABEL_STUDIO_BASE_DATA_DIR": str(folder / "label-studio"),
            "LABEL_STUDIO_USERNAME": state.email,
            "LABEL_STUDIO_PASSWORD": state.password,
            "LABEL_STUDIO_USER_TOKEN": state.token,
        },
        url=label_studio_url(settings),
        ready_path="/health",
        chatter="[django.server::log_message::",
    )


def _proxies() -> dict[str, str]:
    """Return the proxies if they are enabled; never for the backends on this machine."""
    if not trusts_proxies():
        return {}
    given = {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}
    direct = ",".join(filter(None, [given.get("NO_PROXY"), *LOOPBACK]))
    return {**given, "NO_PROXY": direct}


def backends(settings: UpSettings, variables: Mapping[str, str]) -> tuple[Program, Program]:
    """Return the segmentation and the sam backend, listening on this machine only.

    Args:
        settings: Ports of the programs.
        variables: Environment variables that override those of the caller.
    """
    prewarm = {"SAM_PREWARM_URL": f"http://{ADDRESS}:{settings.sam_port}/prewarm"}
    return (
        _backend("segmentation", settings.segmentation_port, {**variables, **prewarm}),
        _backend("sam", settings.sam_port, variables),
    )


def learner(settings: UpSettings, variables: Mapping[str, str]) -> Program:
    """Return the learner, which makes models of the annotations and serves nothing.

    Args:
        settings: Ports of the programs.
        variables: Environment variables of the segmentation backend.
    """
    backend, _ = backends(settings, variables)
    return replace(backend, name="learner", command=LEARNER, url="", ready_path="", login=None)


def joined_to(settings: UpSettings, folder: Path, state: State) -> dict[str, str]:
    """Return the variables that connect the backends to the Label Studio of ``label_studio``."""
    return {
        "LABEL_STUDIO_URL": label_studio_url(settings),
        "LABEL_STUDIO_API_KEY": state.token,
        "IMAGE_CACHE_DIR": str(image_cache(folder)),
        "BASIC_AUTH_USER": "",
        "BASIC_AUTH_PASS": "",
    }


def image_cache(folder: Path) -> Path:
    """Return the backends' folder for fetched images, below that of ``segstudio up``."""
    return folder / "image-cache"


def _backend(name: str, port: int, variables: Mapping[str, str]) -> Program:
    own = {"HOST": ADDRESS, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    environment = {**os.environ, **variables, **own}
    user, password = (environment.get(f"BASIC_AUTH_{part}", "") for part in ("USER", "PASS"))
    return Program(
        name=name,
        command=(sys.executable, "-m", f"{name}_backend"),
        environment=environment,
        url=f"http://{ADDRESS}:{port}",
        ready_path="/readyz",
        login=(user, password) if user else None,
    )
