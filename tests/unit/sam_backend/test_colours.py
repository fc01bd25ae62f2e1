"""The color model's histogram."""

import numpy as np
from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped]

from sam_backend.models.colours import BINS, SPREAD, _histogram


def test_the_histogram_is_spread_as_scipy_spreads_it_and_loses_nothing_at_its_edges() -> None:
    random = np.random.default_rng(0)
    bins = random.integers(0, BINS**3, (64, 48))
    weights = random.random(bins.size, np.float32)
    counts = np.bincount(bins.ravel(), weights, BINS**3).reshape(BINS, BINS, BINS)
    spread = _histogram(bins, weights)
    expected = gaussian_filter(counts, SPREAD, mode="constant", truncate=9)
    inner = np.s_[4:-4, 4:-4, 4:-4]
    np.testing.assert_allclose(spread[inner], expected[inner], rtol=1e-3)
    np.testing.assert_allclose(spread.sum(), weights.sum(), rtol=1e-5)
