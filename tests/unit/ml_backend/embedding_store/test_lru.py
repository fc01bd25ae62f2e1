from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from ml_backend.lru import LruCache


@dataclass(frozen=True)
class Block:
    nbytes: int


def test_the_value_unused_for_longest_goes_first() -> None:
    cache: LruCache[str, Block] = LruCache(max_bytes=30)
    for key in "abc":
        cache.put(key, Block(10))
    cache.get("a")
    cache.put("d", Block(10))
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]


def test_a_value_that_alone_is_too_large_drives_nothing_out() -> None:
    cache: LruCache[str, Block] = LruCache(max_bytes=30)
    cache.put("small", Block(10))
    cache.put("large", Block(31))
    assert cache.get("small") == Block(10)
    assert cache.get("large") is None


def test_no_bytes_keep_nothing() -> None:
    cache: LruCache[str, Block] = LruCache(max_bytes=0)
    cache.put("a", Block(1))
    assert cache.get("a") is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), max_size=60))
def test_the_bound_holds_and_the_last_fitting_value_is_there(puts: list[tuple[int, int]]) -> None:
    cache: LruCache[int, Block] = LruCache(max_bytes=40)
    for key, size in puts:
        cache.put(key, Block(size))
        kept = [block for block in map(cache.get, range(6)) if block]
        assert cache.nbytes == sum(block.nbytes for block in kept) <= 40
        assert cache.get(key) == (Block(size) if size <= 40 else None)
