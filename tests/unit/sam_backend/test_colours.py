"""The colour model's histogram."""

import numpy as np
from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped]

from sam_backend.models.colours import BINS, SPREAD, _histogram


def test_the_histogram_is_spread_as_scipy_spreads_it() -> None:
    random = np.random.default_rng(0)
    bins = random.integers(0, BINS**3, (64, 48))
    weights = random.random(bins.size, np.float32)
    counts = np.bincount(bins.ravel(), weights, BINS**3).reshape(BINS, BINS, BINS)
    expected = gaussian_filter(counts, SPREAD, mode="nearest")
    np.testing.assert_allclose(_histogram(bins, weights), expected, rtol=1e-5, atol=1e-6)
