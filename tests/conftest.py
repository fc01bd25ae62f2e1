"""For all tests: a busy machine is no failure, and which of them share a process."""

import os
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

SHARED = ("e2e", "integration/predict")
"""Folders whose tests share one costly server each: a Label Studio, a Ray."""

# Each of xdist's processes, and each backend that it starts, computes with one thread: threads that
# wait for others of their pool keep a core busy.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("THREADS", "1")

# By default an example that takes more than 200 ms fails, and so does any stall of the machine.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps together in one of xdist's processes what shares fixtures: a file, or a folder."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: _group(item.nodeid) not in SHARED)


def _group(nodeid: str) -> str:
    """Return the shared folder or the file that a test is in."""
    path = nodeid.partition("::")[0].removeprefix("tests/")
    return next((folder for folder in SHARED if path.startswith(f"{folder}/")), path)
