"""The ML API of a predictor whose answers are known."""

from collections.abc import Iterator

import pytest
import structlog
from flask.testing import FlaskClient

from ml_backend.serving.logs import configure_logging
from tests.support.one_box import OneBox, ready_client


@pytest.fixture(scope="module")
def logging_to_stderr() -> Iterator[None]:
    """As in a real process, where ``caplog`` listens too."""
    configure_logging("INFO")
    yield
    structlog.reset_defaults()


@pytest.fixture
def predictor() -> OneBox:
    return OneBox()


@pytest.fixture
def client(predictor: OneBox) -> FlaskClient:
    return ready_client(predictor)
