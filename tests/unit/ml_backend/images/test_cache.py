"""The disk cache: bounded, whole or not there, and never in the way."""

import logging
import math
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.images.cache import DIGEST_BYTES, DiskCache


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache", 1000)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "cache").iterdir())


def test_what_was_put_is_there_for_others_too(cache: DiskCache, tmp_path: Path) -> None:
    assert cache.get("key", math.inf) is None
    cache.put("key", b"data")
    assert cache.get("key", math.inf) == b"data"
    assert DiskCache(tmp_path / "cache", 1000).get("key", 60) == b"data"
    assert cache.get("other", math.inf) is None


def test_only_the_owner_can_read_it(cache: DiskCache, tmp_path: Path) -> None:
    cache.put("key", b"data")
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in files(tmp_path)] == [0o600]


def test_a_name_cannot_lead_out_of_the_folder(cache: DiskCache, tmp_path: Path) -> None:
    for key in ("../../evil", "/etc/evil", "a/b", "..", "a\x00b", "x" * 5000):
        cache.put(key, b"data")
    assert len(files(tmp_path)) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"cache"}


def test_a_copy_ages(cache: DiskCache, tmp_path: Path) -> None:
    cache.put("key", b"data")
    hour_ago = time.time() - 3600
    os.utime(files(tmp_path)[0], (time.time(), hour_ago))
    assert cache.get("key", 3599) is None
    assert cache.get("key", 3700) == b"data"
    assert cache.get("key", 3599) is None, "being used made it younger"
    cache.put("key", b"new")
    assert cache.get("key", 3599) == b"new"


def test_a_copy_from_the_future_is_not_trusted(cache: DiskCache, tmp_path: Path) -> None:
    cache.put("key", b"data")
    os.utime(files(tmp_path)[0], (time.time() + 3600, time.time() + 3600))
    assert cache.get("key", 600) is None
    assert cache.get("key", math.inf) == b"data"


def test_the_least_recently_used_goes_first(cache: DiskCache, tmp_path: Path) -> None:
    for age, key in enumerate(["new", "middle", "old"]):
        cache.put(key, bytes(300 - DIGEST_BYTES))
        then = time.time() - 100 * (age + 1)
        os.utime(cache._path(key), (then, then))
    assert cache.get("old", math.inf) is not None
    cache.put("newest", bytes(300 - DIGEST_BYTES))
    kept = [key for key in ("old", "middle", "new", "newest") if cache.get(key, math.inf)]
    assert kept == ["old", "new", "newest"]


def test_files_are_not_counted_anew_for_each_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = 0
    files = DiskCache._files

    def counted(self: DiskCache) -> Iterator[tuple[float, int, Path]]:
        nonlocal counts
        counts += 1
        return files(self)

    monkeypatch.setattr(DiskCache, "_files", counted)
    cache = DiskCache(tmp_path / "cache", 640_000)
    for number in range(2000):
        cache.put(f"{number}", bytes(1000 - DIGEST_BYTES))
    assert counts < 2000 / 9
    assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) <= 640_000


@given(sizes=st.lists(st.integers(0, 1200), max_size=12))
def test_it_never_grows_over_its_bound(
    sizes: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cache")
    cache = DiskCache(folder, 1000)
    for number, size in enumerate(sizes):
        cache.put(f"{number % 5}", bytes(size))
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 1000


def test_what_a_killed_process_left_is_swept_out(cache: DiskCache, tmp_path: Path) -> None:
    cache.put("key", b"data")
    left = tmp_path / "cache" / "tmpabc.image"
    left.write_bytes(bytes(900))
    os.utime(left, (0, 0))
    cache.put("other", bytes(300))
    assert not left.exists()
    assert cache.get("key", math.inf) == b"data"


def test_files_of_others_in_the_folder_are_left_alone(cache: DiskCache, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "precious.txt").write_bytes(bytes(2000))
    cache.put("key", bytes(900))
    cache.put("other", bytes(900))
    assert (tmp_path / "cache" / "precious.txt").exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "grow"])
def test_a_damaged_file_is_dropped(
    damage: str, cache: DiskCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put("key", b"data" * 50)
    path = files(tmp_path)[0]
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[:-1],
            "empty": b"",
            "flip": content[:-1] + b"x",
            "grow": content + b"x",
        }[damage]
    )
    assert cache.get("key", math.inf) is None
    assert files(tmp_path) == []
    assert "damaged" in caplog.text


def test_a_place_that_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(tmp_path / "file" / "cache", 1000)
    for _ in range(5):
        cache.put("key", b"data")
        assert cache.get("key", math.inf) is None
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    (tmp_path / "file").unlink()
    cache.put("key", b"data")
    assert cache.get("key", math.inf) == b"data"


def test_threads_that_meet_the_same_trouble_tell_it_once(tmp_path: Path) -> None:
    """A second thread fails while the first is telling."""
    (tmp_path / "file").touch()
    cache = DiskCache(tmp_path / "file", 1000)
    told: list[str] = []
    second = Thread(target=cache.put, args=("b", b"data"))

    class Interrupted(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())
            if len(told) == 1:
                second.start()
                second.join(5)  # one that tells, too, waits here for its turn

    logger = logging.getLogger("ml_backend.images.cache")
    logger.addHandler(handler := Interrupted())
    try:
        cache.put("a", b"data")
        second.join()
    finally:
        logger.removeHandler(handler)
    assert len(told) == 1


def test_a_full_disk_leaves_nothing_half_written(
    cache: DiskCache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put("key", b"data")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # writing more fails: EFBIG
    try:
        cache.put("other", bytes(500))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "not cached on disk" in caplog.text
    assert len(files(tmp_path)) == 1
    assert cache.get("key", math.inf) == b"data"


def test_no_room_at_all_means_no_cache(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache", 0)
    cache.put("key", b"data")
    assert cache.get("key", math.inf) is None
    assert not (tmp_path / "cache").exists()
