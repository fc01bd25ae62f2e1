from collections.abc import Iterator

import pytest

from tests.support.label_studio_server import LabelStudioServer


@pytest.fixture
def label_studio() -> Iterator[LabelStudioServer]:
    with LabelStudioServer() as server:
        yield server
