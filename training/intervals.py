"""Confidence intervals over photographs: regions of one photograph are not independent."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

DRAWS = 2000

Totals = npt.NDArray[np.float64]


def bootstrap_intervals(
    totals: npt.NDArray[np.generic], figures: Callable[[Totals], Mapping[str, float]]
) -> dict[str, tuple[float, float]]:
    """Return 95 % bootstrap intervals, drawing whole photographs (Efron, 1979).

    Args:
        totals: Measurements of each photograph that can be added up, (N, ...).
        figures: Function that computes named figures from the sum over photographs.
    """
    number = len(totals)
    draws = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), DRAWS)
    # In float64, which has a fast product and represents counts exactly.
    sums = draws.astype(np.float64) @ totals.reshape(number, -1).astype(np.float64)
    drawn = [figures(each.reshape(totals.shape[1:])) for each in sums]
    return {name: _quantiles([each[name] for each in drawn]) for name in drawn[0]}


def mean_interval(
    values: Sequence[float] | npt.NDArray[np.floating], photographs: Sequence[object]
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean over regions.

    Args:
        values: One figure for each region.
        photographs: Photograph of each region.

    Raises:
        ValueError: There are no values.
    """
    if not len(values):
        raise ValueError("no values to draw from")
    _, owner = np.unique(np.array([str(each) for each in photographs]), return_inverse=True)
    sums, counts = np.bincount(owner, np.asarray(values, np.float64)), np.bincount(owner)
    totals = np.stack([sums, counts.astype(np.float64)], axis=1)
    return bootstrap_intervals(totals, lambda total: {"mean": total[0] / total[1]})["mean"]


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.nanpercentile(values, (2.5, 97.5))
    return float(low), float(high)
