"""For unit tests: they are the same on every machine."""

import pytest


@pytest.fixture(autouse=True)
def of_no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the machine's own certificate authorities, which also take long to read."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
