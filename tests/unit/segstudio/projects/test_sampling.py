from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import SettingsError
from segstudio.projects.sampling import SampleSize, sample


@given(total=st.integers(0, 300), wanted=st.integers(0, 300), seed=st.integers())
def test_a_sample_has_its_exact_size_in_order_and_is_the_same_again(
    total: int, wanted: int, seed: int
) -> None:
    wanted = min(wanted, total)
    chosen = list(sample(range(total), total, wanted, seed))
    assert len(set(chosen)) == wanted
    assert chosen == sorted(chosen)
    assert chosen == list(sample(iter(range(total)), total, wanted, seed))


def test_every_row_is_as_likely_as_any_other() -> None:
    counts = Counter(n for seed in range(4000) for n in sample(range(10), 10, 3, seed))
    assert all(abs(counts[n] - 1200) < 120 for n in range(10))  # four standard deviations


def test_seeds_choose_differently() -> None:
    assert len({tuple(sample(range(100), 100, 10, seed)) for seed in range(50)}) == 50


@pytest.mark.parametrize(
    ("text", "total", "size"),
    [
        *(("30%", 10, 3), ("30%", 172, 52), ("100%", 7, 7), ("0.1%", 5, 1), ("33.3%", 3, 1)),
        *(("200", 1000, 200), ("200", 50, 50), ("50%", 3, 2), ("50%", 0, 0)),
    ],
)
def test_a_share_is_a_part_or_a_number(text: str, total: int, size: int) -> None:
    assert SampleSize.parse(text).of(total) == size


@pytest.mark.parametrize("text", ["", "0", "0%", "-3", "101%", "many", "3.5", "nan%", "1/0%", "%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="not a sample size"):
        SampleSize.parse(text)
