"""Random samples of rows: uniform, of an exact size, reproducible by seed."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self, TypeVar

from ml_backend.errors import SettingsError

T = TypeVar("T")


@dataclass(frozen=True)
class SampleSize:
    """Size of a sample: ``30%`` of the rows, or ``200`` rows."""

    text: str
    part: Fraction | None
    count: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a sample size.

        Raises:
            SettingsError: The text is invalid, or the size is zero or more than everything.
        """
        number = text.strip().removesuffix("%")
        try:
            part = Fraction(number) / 100 if "%" in text else None
            size = None if part is not None else int(number)
        except (ValueError, ZeroDivisionError):
            part, size = None, 0
        if (part is not None and not 0 < part <= 1) or (size is not None and size < 1):
            raise SettingsError(f"{text!r} is not a sample size", "write it as 30% or as 200")
        return cls(text.strip(), part, size)

    @property
    def is_all(self) -> bool:
        """Whether the sample contains everything."""
        return self.part == 1

    def of(self, total: int) -> int:
        """Return the number of items out of ``total``; at least one, if there are any."""
        if self.part is None:
            return min(self.count or 0, total)
        return min(max(int(self.part * total + Fraction(1, 2)), 1), total)


def parse_part(text: str) -> float:
    """Parse a percentage such as ``10%`` into a fraction; empty: 0.

    Raises:
        SettingsError: The text is not a percentage.
    """
    if not text.strip():
        return 0.0
    size = SampleSize.parse(text)
    if size.part is None:
        raise SettingsError(f"{text!r} is not a percentage", "write it as 10%")
    return float(size.part)


def sample(items: Iterable[T], total: int, wanted: int, seed: int) -> Iterator[T]:
    """Yield a random sample of items in their order, each set equally likely.

    Args:
        items: Items, streamed once.
        total: Number of items.
        wanted: Number of items to choose.
        seed: Random seed; equal seeds choose the same items.

    Source: Knuth, The Art of Computer Programming, volume 2, section 3.4.2, algorithm S.
    """
    chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
    for seen, item in enumerate(items):
        if chance.random() * (total - seen) < wanted:
            wanted -= 1
            yield item
