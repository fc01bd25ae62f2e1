"""The cache of images on disk, used by many at once."""

import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from ml_backend.images.cache import DiskCache


def _hammer(folder: Path, seed: int) -> int:
    cache = DiskCache(folder, 2000)
    wrong = 0
    for step in range(150):
        key = str((seed * 7 + step) % 10)
        cache.put(key, key.encode() * 400)
        wrong += cache.get(key, math.inf) not in {None, key.encode() * 400}
    return wrong


def processes() -> ProcessPoolExecutor:
    """Four spawned processes: forks would take over locks that other threads hold."""
    return ProcessPoolExecutor(4, mp_context=get_context("spawn"))


@pytest.mark.parametrize("pool", [partial(ThreadPoolExecutor, 4), processes])
def test_many_at_once_get_whole_files_or_none(
    pool: Callable[[], ThreadPoolExecutor | ProcessPoolExecutor],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pool() as workers:
        assert list(workers.map(_hammer, [tmp_path] * 4, range(4))) == [0] * 4
    assert "damaged" not in caplog.text
