"""HTTP servers, and settings with short time-outs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_backend.images import ImageSettings
from tests.support.http_server import Listener, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def other_server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., ImageSettings]:
    """Make settings with short time-outs and a cache folder of the test's own."""

    def make(**changes: Any) -> ImageSettings:
        times = {
            name: changes.pop(name, seconds)
            for name, seconds in (("connect_seconds", 1), ("read_seconds", 2), ("retry_seconds", 1))
        }
        kind = type("QuickSettings", (ImageSettings,), times)
        usual = {"image_cache_dir": tmp_path / "cache", "image_seconds": 5}
        made: ImageSettings = kind(**(usual | changes))
        return made

    return make


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()
