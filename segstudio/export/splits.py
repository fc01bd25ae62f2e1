"""Split images into training, validation and test parts."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Self

from ml_backend.errors import SettingsError
from segstudio.data.scratch_db import ScratchDatabase

NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class SplitRule:
    """Fractions of the images for each part.

    Attributes:
        shares: Fractions for the parts in ``NAMES``, in order; their sum is 1.
        seed: Random seed; equal seeds split the same images equally.
    """

    shares: tuple[Fraction, ...] = (Fraction(1),)
    seed: int = 1

    @classmethod
    def parse(cls, text: str, seed: int) -> Self:
        """Parse ``80/10/10`` or ``80/20``; empty: all images are for training.

        Raises:
            SettingsError: The text has another form.
        """
        try:
            numbers = [Fraction(part) for part in text.split("/")] if text else [Fraction(1)]
        except (ValueError, ZeroDivisionError):
            numbers = []
        if not 1 <= len(numbers) <= len(NAMES) or min(numbers) < 0 or not sum(numbers):
            raise SettingsError(f"{text!r} is not a split", "write it as 80/10/10 or 80/20")
        return cls(tuple(number / sum(numbers) for number in numbers), seed)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts."""
        return NAMES[: len(self.shares)]


class Splits(ScratchDatabase):
    """Part of each image by identifier; all annotations of an image are in the same part.

    Args:
        rule: Fractions and seed.
    """

    schema = "CREATE TABLE images (identifier TEXT PRIMARY KEY, rank BLOB, part TEXT) WITHOUT ROWID"

    def __init__(self, rule: SplitRule) -> None:
        super().__init__()
        self.rule = rule

    def record(self, identifier: str) -> None:
        """Record an image to be assigned to a part."""
        rank = hashlib.sha256(f"{self.rule.seed}\0{identifier}".encode(errors="replace")).digest()
        self._database.execute("INSERT OR IGNORE INTO images VALUES (?, ?, '')", (identifier, rank))

    def assign(self) -> None:
        """Assign each recorded image to a part: exact fractions, in a seeded random order."""
        total = int(self._database.execute("SELECT count(*) FROM images").fetchone()[0])
        self._database.execute("CREATE INDEX by_rank ON images (rank)")
        first = 0
        for name, share in zip(self.rule.names, accumulate(self.rule.shares), strict=True):
            last = int(share * total + Fraction(1, 2))
            self._database.execute(
                "UPDATE images SET part = ? WHERE identifier IN "
                "(SELECT identifier FROM images ORDER BY rank LIMIT ? OFFSET ?)",
                (name, last - first, first),
            )
            first = last

    def __getitem__(self, identifier: str) -> str:
        """Return the part of an image; images recorded after ``assign`` are for training."""
        found = self._database.execute(
            "SELECT part FROM images WHERE identifier = ?", (identifier,)
        ).fetchone()
        return found[0] if found and found[0] else NAMES[0]
