"""For all tests: a busy machine is no failure, and which of them share a process."""

from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent
SHARED = ("e2e", "integration/predict")
"""Folders whose tests share one costly server each: a Label Studio, a Ray."""

# By default an example that takes more than 200 ms fails, and so does any stall of the machine.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together in one of xdist's processes what shares fixtures; what takes longest first."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: _group(item) not in SHARED)


def _group(item: pytest.Item) -> str:
    path = item.path.relative_to(ROOT)
    shared = (each for each in SHARED if path.is_relative_to(each))
    return next(shared, str(path))
