"""Factory of all HTTP clients, so that certificates and proxies are the same everywhere."""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.request import getproxies, proxy_bypass

import certifi
import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from ml_backend.errors import SettingsError

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _none_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


BlankIsNone = BeforeValidator(_none_if_blank)


class HttpSettings(BaseModel):
    """Certificates and proxies to use; part of the settings of every program."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    ssl_cert_file: Annotated[Path | None, BlankIsNone] = Field(
        None,
        description="PEM file of certificate authorities to trust in addition to the public ones",
    )
    ssl_cert_dir: Annotated[Path | None, BlankIsNone] = Field(
        None, description="The same as a folder, as c_rehash prepares it"
    )
    requests_ca_bundle: Annotated[Path | None, BlankIsNone] = Field(
        None, description="The same as a file or a folder, under another common name"
    )
    trust_proxy_env: bool = Field(
        False, description="Use the proxies in HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
    )


class _Environment(HttpSettings, BaseSettings):
    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, frozen=True, extra="ignore"
    )


def tls_context(settings: HttpSettings | None = None) -> ssl.SSLContext:
    """Return a TLS context that trusts the public authorities and the configured ones.

    Args:
        settings: Settings that take precedence over the environment.

    Raises:
        SettingsError: A file or folder of authorities cannot be read.
    """
    return _context(_authorities(settings))


def _authorities(settings: HttpSettings | None = None) -> "tuple[_Authority, ...]":
    environment = _Environment()
    named = {
        name.upper(): getattr(settings, name, None) or getattr(environment, name)
        for name in ("ssl_cert_file", "ssl_cert_dir", "requests_ca_bundle")
    }
    return tuple(_Authority.at(name, path) for name, path in named.items() if path)


class _Authority(NamedTuple):
    """A variable with its path, and when that last changed in ns; 0 if nothing is there."""

    variable: str
    path: Path
    changed: int

    @classmethod
    def at(cls, variable: str, path: Path) -> "_Authority":
        try:
            return cls(variable, path, path.stat().st_mtime_ns)
        except OSError:  # _trust says so
            return cls(variable, path, 0)


def _context(authorities: tuple[_Authority, ...]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=certifi.where())
    for variable, path, _ in authorities:
        _trust(context, variable, path)
    return context


# For httpx, which does not change a context: reading authorities takes 30 ms and more.
_shared_context = lru_cache(maxsize=4)(_context)


def _trust(context: ssl.SSLContext, variable: str, path: Path) -> None:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError among them
        raise SettingsError(
            f"{variable}={path} contains no readable certificates ({error.strerror or error})",
            "name a PEM file, or a folder of them",
        ) from error


def proxy_for(url: httpx.URL, settings: HttpSettings) -> httpx.URL | None:
    """Return the proxy that the environment sets for a URL, else None."""
    if not settings.trust_proxy_env or url.host in LOOPBACK:
        return None
    if proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy:
        return None
    return httpx.URL(proxy if "://" in proxy else f"http://{proxy}")


def http_client(**options: Any) -> httpx.Client:
    """Create a client; the options are those of httpx."""
    return httpx.Client(**_shared_options(), **options)


def async_http_client(**options: Any) -> httpx.AsyncClient:
    """Create an asynchronous client; the options are those of httpx."""
    return httpx.AsyncClient(**_shared_options(), **options)


def trusts_proxies() -> bool:
    """Return whether clients use the proxies of the environment."""
    return _Environment().trust_proxy_env


def _shared_options() -> dict[str, Any]:
    return {
        "trust_env": trusts_proxies(),
        "verify": _shared_context(_authorities()),
        "mounts": {f"all://{f'[{host}]' if ':' in host else host}": None for host in LOOPBACK},
    }
