"""The four programs: how each is started, and with which variables."""

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

# Label Studio's own list of addresses that it asks nothing of, less loopback and private networks:
# there are the backends, and it refuses to connect one whose webhook would be refused. Clouds'
# metadata servers stay out of reach.
_BANNED_SUBNETS = (
    *("0.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24"),
    *("192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
    *("::/128", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/32", "100::/64", "2001::/23"),
    *("2001:db8::/32", "2002::/16", "fd00:ec2::/32", "fe80::/10", "ff00::/8"),
)

_LABEL_STUDIO = {
    "LABEL_STUDIO_USE_DEFAULT_BANNED_SUBNETS": "false",
    "LABEL_STUDIO_USER_ADDITIONAL_BANNED_SUBNETS": ",".join(_BANNED_SUBNETS),
    # The token that is made here is a legacy one; it needs no exchange and does not expire.
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    # Nothing calls home.
    "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_SENTRY_DSN": "",
    "LABEL_STUDIO_FRONTEND_SENTRY_DSN": "",
    "LOG_LEVEL": "WARNING",
    "PYTHONUNBUFFERED": "1",
}


LEARNER = (sys.executable, "-m", "segmentation_backend.learning")


def label_studio_url(settings: UpSettings) -> str:
    """Label Studio as programs on this machine reach it."""
    return f"http://{ADDRESS}:{settings.label_studio_port}"


def label_studio(settings: UpSettings, folder: Path, state: State) -> Program:
    """Label Studio with its database and files under ``folder``.

    Its variables are a fresh set: it reads dozens of plain names (``HOST``, ``CI``, ``DEBUG``)
    that the caller's environment may hold for other reasons.
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
    """Return the proxies where they are to be used; never for the backends on this machine."""
    if not trusts_proxies():
        return {}
    given = {name: os.environ[name] for name in _PROXIES if os.environ.get(name)}
    direct = ",".join(filter(None, [given.get("NO_PROXY"), *LOOPBACK]))
    return {**given, "NO_PROXY": direct}


def backends(settings: UpSettings, variables: Mapping[str, str]) -> tuple[Program, Program]:
    """The segmentation and the sam backend, on this machine's own address.

    Args:
        settings: Tells the ports.
        variables: Go before the caller's own environment, which the backends otherwise get.
    """
    prewarm = {"SAM_PREWARM_URL": f"http://{ADDRESS}:{settings.sam_port}/prewarm"}
    return (
        _backend("segmentation", settings.segmentation_port, {**variables, **prewarm}),
        _backend("sam", settings.sam_port, variables),
    )


def learner(settings: UpSettings, variables: Mapping[str, str]) -> Program:
    """The learner, which makes models of the annotations and serves nothing.

    Args:
        settings: Ports of the programs.
        variables: Those of the segmentation backend.
    """
    backend, _ = backends(settings, variables)
    return replace(backend, name="learner", command=LEARNER, url="", ready_path="", login=None)


def joined_to(settings: UpSettings, folder: Path, state: State) -> dict[str, str]:
    """What the backends need to serve the Label Studio that ``label_studio`` starts."""
    return {
        "LABEL_STUDIO_URL": label_studio_url(settings),
        "LABEL_STUDIO_API_KEY": state.token,
        "IMAGE_CACHE_DIR": str(image_cache(folder)),
        "BASIC_AUTH_USER": "",
        "BASIC_AUTH_PASS": "",
    }


def image_cache(folder: Path) -> Path:
    """Where the backends of ``segstudio up`` keep fetched images, below its folder."""
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
