"""Paired timing of two operations, and figures of the results."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

WARM_MS = 15
"""Maximum milliseconds of a warm click in addition to the model's own time."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of one or more values."""
        low, median, high = np.percentile(values, [25, 50, 75])
        return cls(float(median), float(low), float(high))


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        name: Name of the measurement.
        unit: Unit of ``ours`` and ``other``.
        ours: Spread of this project.
        baseline: Name of what it is compared with; empty without one.
        other: Spread of the baseline, measured in turns with ours.
        ratio: Spread of ours divided by other, for each pair.
        goal: Goal in words; empty without one.
        met: Whether the goal is met; None without one.
    """

    name: str
    unit: str
    ours: Spread
    baseline: str = ""
    other: Spread | None = None
    ratio: Spread | None = None
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Pairs:
    """Seconds of two operations that were measured in turns, pair by pair."""

    ours: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def ratio(self) -> Spread:
        """Spread of ours divided by other."""
        return Spread.of(np.divide(self.ours, self.other).tolist())

    @property
    def more_ms(self) -> float:
        """Return the median of the milliseconds that ours takes longer."""
        return float(np.median(np.subtract(self.ours, self.other))) * 1000

    def times(self, name: str, baseline: str, goal: str = "", met: bool | None = None) -> Figure:
        """Return a figure in milliseconds."""
        ours, other = (Spread.of([s * 1000 for s in each]) for each in (self.ours, self.other))
        return Figure(name, "ms", ours, baseline, other, self.ratio, goal, met)

    def at_most_15_ms_more(self, name: str, baseline: str) -> Figure:
        """Return a figure whose goal is that ours takes at most 15 ms longer."""
        more = self.more_ms
        return self.times(name, baseline, f"≤ +{WARM_MS} ms: {more:+.1f}", more <= WARM_MS)

    def faster(self, name: str, baseline: str, goal: float) -> Figure:
        """Return a figure whose goal is that ours is ``goal`` times as fast."""
        speedup = 1 / self.ratio.median
        return self.times(
            name, baseline, f"≥ {goal:g} times as fast: {speedup:.1f}", speedup >= goal
        )


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turns(
    ours: Callable[[int], object], other: Callable[[int], object], count: int, warm_up: int = 1
) -> Pairs:
    """Time both in turns, so that other load on the machine affects both equally.

    Args:
        ours: Function to time; gets the number of the turn, warm-up included.
        other: Baseline to time right after it; gets the same number.
        count: Number of turns that count.
        warm_up: Number of turns before them that do not.
    """
    pairs = [
        (seconds(lambda: ours(turn)), seconds(lambda: other(turn)))  # noqa: B023 - run at once
        for turn in range(warm_up + count)
    ]
    first, second = zip(*pairs[warm_up:], strict=True)
    return Pairs(first, second)
