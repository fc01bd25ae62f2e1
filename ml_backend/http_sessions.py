"""Sessions of the library requests, which Google's libraries use, by the rules of ``http_clients``.

A separate module, so that only programs that read buckets import requests.
"""

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from ml_backend.http_clients import tls_context, trusts_proxies


def prepare_session(session: requests.Session, connections: int = 10) -> None:
    """Apply the certificates and proxies of ``http_clients`` to a session of requests."""
    adapter = _Adapter(pool_maxsize=connections)
    renewal = getattr(session, "_auth_request", None)
    # Also the session that google-auth fetches tokens with.
    for each in (session, *([renewal.session] if renewal is not None else ())):
        each.trust_env = trusts_proxies()
        for scheme in ("http://", "https://"):
            each.mount(scheme, adapter)


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=tls_context(), **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=tls_context(), **options)
