"""A sample of rows: uniform, of an exact size, and the same again for the same seed."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self, TypeVar

from ml_backend.errors import SettingsError

T = TypeVar("T")


@dataclass(frozen=True)
class SampleSize:
    """How much of something: ``30%`` of it, or ``200`` pieces."""

    text: str
    part: Fraction | None
    count: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a share.

        Raises:
            SettingsError: It is none, or nothing, or more than all.
        """
        number = text.strip().removesuffix("%")
        try:
            part = Fraction(number) / 100 if "%" in text else None
            size = None if part is not None else int(number)
        except (ValueError, ZeroDivisionError):
            part, size = None, 0
        if (part is not None and not 0 < part <= 1) or (size is not None and size < 1):
            raise SettingsError(f"{text!r} is no share", "write it as 30% or as 200")
        return cls(text.strip(), part, size)

    @property
    def is_all(self) -> bool:
        """Whether it is everything, however much there is."""
        return self.part == 1

    def of(self, total: int) -> int:
        """How many pieces of ``total`` it is; at least one, if there are any."""
        if self.part is None:
            return min(self.count or 0, total)
        return min(max(int(self.part * total + Fraction(1, 2)), 1), total)


def parse_part(text: str) -> float:
    """Read a percentage such as ``10%``, as a part of 1; empty: none.

    Raises:
        SettingsError: It is none.
    """
    if not text.strip():
        return 0.0
    size = SampleSize.parse(text)
    if size.part is None:
        raise SettingsError(f"{text!r} is no percentage", "write it as 10%")
    return float(size.part)


def sample(items: Iterable[T], total: int, wanted: int, seed: int) -> Iterator[T]:
    """Choose items in their order, each set of them equally likely.

    Args:
        items: Streamed once.
        total: How many there are.
        wanted: How many to choose.
        seed: The same one chooses the same items.

    Source: Knuth, The Art of Computer Programming, volume 2, section 3.4.2, algorithm S.
    """
    chance = random.Random(seed)  # noqa: S311 - a sample, not a secret
    for seen, item in enumerate(items):
        if chance.random() * (total - seen) < wanted:
            wanted -= 1
            yield item
