"""Statistics of the time that annotations took."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FEWEST = 20
"""Minimum number of annotations with and without suggestions for a comparison."""

_MOST = 5000
_RESAMPLES = 1000
_SEED = 1

Seconds = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TimeSaved:
    """Time that suggestions save: difference of the medians without and with them.

    Attributes:
        seconds: Seconds saved per image; negative if suggestions cost time.
        low: Lower end of the 95 % confidence interval.
        high: Upper end of the 95 % confidence interval.
        without: Median seconds of images without suggestions.
    """

    seconds: float
    low: float
    high: float
    without: float

    @property
    def is_certain(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def median(seconds: Sequence[float]) -> float | None:
    """Return the median, which one long break does not change; None without values."""
    return float(np.median(np.asarray(seconds))) if len(seconds) else None


def time_saved(suggested: Sequence[float], control: Sequence[float]) -> TimeSaved | None:
    """Compare images with suggestions to control images; None if there are too few.

    The interval is a percentile bootstrap: Efron and Tibshirani, An Introduction to the Bootstrap,
    1993, chapter 13.
    """
    if min(len(suggested), len(control)) < FEWEST:
        return None
    random = np.random.default_rng(_SEED)
    with_, without = (_some(np.asarray(each), random) for each in (suggested, control))
    differences = [
        _resampled_median(without, random) - _resampled_median(with_, random)
        for _ in range(_RESAMPLES)
    ]
    low, high = np.percentile(differences, [2.5, 97.5])
    middle = float(np.median(without))
    return TimeSaved(middle - float(np.median(with_)), float(low), float(high), middle)


def _some(values: Seconds, random: np.random.Generator) -> Seconds:
    return values if len(values) <= _MOST else random.choice(values, _MOST, replace=False)


def _resampled_median(values: Seconds, random: np.random.Generator) -> float:
    return float(np.median(random.choice(values, len(values))))
