"""Timing two things side by side, and what came of it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

WARM_MS = 15
"""What a warm click may take beside the model's own time."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of some measurements."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of at least one value."""
        low, median, high = np.percentile(values, [25, 50, 75])
        return cls(float(median), float(low), float(high))


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured.
        unit: Of ``ours`` and ``other``.
        ours: This project.
        beside: What it is compared with; empty where it is with nothing.
        other: That, measured in turns with ours.
        ratio: Ours to other, of each pair; as many values as there were pairs.
        goal: What is asked; empty where nothing is.
        met: Whether it is reached.
    """

    name: str
    unit: str
    ours: Spread
    beside: str = ""
    other: Spread | None = None
    ratio: Spread | None = None
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Pairs:
    """Seconds that two things took in turns: the first of one with the first of the other."""

    ours: tuple[float, ...]
    other: tuple[float, ...]

    @property
    def ratio(self) -> Spread:
        """Ours to other."""
        return Spread.of(np.divide(self.ours, self.other).tolist())

    @property
    def more_ms(self) -> float:
        """By how many milliseconds ours takes longer, in the median of the pairs."""
        return float(np.median(np.subtract(self.ours, self.other))) * 1000

    def times(self, name: str, beside: str, goal: str = "", met: bool | None = None) -> Figure:
        """As a line in milliseconds."""
        ours, other = (Spread.of([s * 1000 for s in each]) for each in (self.ours, self.other))
        return Figure(name, "ms", ours, beside, other, self.ratio, goal, met)

    def at_most_15_ms_more(self, name: str, beside: str) -> Figure:
        """As a line that says whether ours takes at most 15 ms longer."""
        more = self.more_ms
        return self.times(name, beside, f"≤ +{WARM_MS} ms: {more:+.1f}", more <= WARM_MS)

    def faster(self, name: str, beside: str, goal: float) -> Figure:
        """As a line that says whether ours is ``goal`` times as fast."""
        speedup = 1 / self.ratio.median
        return self.times(name, beside, f"≥ {goal:g} times as fast: {speedup:.1f}", speedup >= goal)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turns(
    ours: Callable[[int], object], other: Callable[[int], object], count: int, warm_up: int = 1
) -> Pairs:
    """Time both in turns, so that whatever the machine does meanwhile meets both alike.

    Args:
        ours: Gets the number of the turn, counted from 0 with those to warm up.
        other: Likewise, right after it.
        count: Turns that count.
        warm_up: Turns before them that do not.
    """
    pairs = [
        (seconds(lambda: ours(turn)), seconds(lambda: other(turn)))  # noqa: B023 - run at once
        for turn in range(warm_up + count)
    ]
    first, second = zip(*pairs[warm_up:], strict=True)
    return Pairs(first, second)
