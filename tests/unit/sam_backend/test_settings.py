"""What the sam backend refuses to start with, and what it says then."""

import pytest

from ml_backend.errors import SettingsError
from ml_backend.serving.settings import read_settings
from sam_backend.settings import SamSettings


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cr/et@redis:6379/0",
        "redis://:s3cr?et@redis:6379/0",
        "redis://:s3cr#et@redis:6379/0",
        "redis://:pass@redis:s3cr/0",
        "redis://[s3cr",
        "redis://redis:6379/0?s3cr=et",
        "redis://redis:6379/0?socket_timeout=s3cr",
        "redis://redis:6379/0?protocol=9",
        "http://:s3cr@redis:6379",
        "s3cr",
    ],
)
def test_a_redis_that_cannot_be_meant_is_refused_and_nothing_of_it_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(SettingsError, match=r"REDIS_URL: .*it must be like redis://") as refusal:
        read_settings(SamSettings)
    assert "s3cr" not in str(refusal.value) + refusal.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis:6379",
        "redis://:s3cr%2Fet@redis:6379/0",
        "rediss://user:s3cr@redis:6380/1?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_a_redis_that_can_be_meant_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    found = read_settings(SamSettings).redis_url
    assert found is not None
    assert found.get_secret_value() == url
    assert url not in repr(found)
