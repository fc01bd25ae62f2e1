"""Confidence intervals over photographs: regions of one photograph are not independent."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DRAWS = 2000


def mean_interval(
    values: Sequence[float] | npt.NDArray[np.floating], photographs: Sequence[object]
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean, drawing whole photographs (Efron, 1979).

    Args:
        values: One figure a region.
        photographs: Of the same length; which photograph each region is in.

    Raises:
        ValueError: There are no values.
    """
    if not len(values):
        raise ValueError("no values to draw from")
    _, owner = np.unique(np.array([str(each) for each in photographs]), return_inverse=True)
    sums, counts = np.bincount(owner, np.asarray(values, np.float64)), np.bincount(owner)
    picks = np.random.default_rng(0).integers(0, len(sums), (DRAWS, len(sums)))
    means = sums[picks].sum(1) / counts[picks].sum(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
