"""Temporary SQLite databases, which keep memory use constant for any number of rows."""

import sqlite3
from collections.abc import Iterable
from typing import ClassVar, Self

from segstudio.gcs.objects import ObjectMeta


class ScratchDatabase:
    """Temporary SQLite database that is deleted when its context or the process ends.

    Attributes:
        schema: SQL that creates the tables; set by each subclass.
    """

    schema: ClassVar[str]

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(f"PRAGMA journal_mode = OFF; {self.schema}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()


class NameIndex(ScratchDatabase):
    """Names claimed by rows, and the objects that a bucket has under them."""

    schema = """
        CREATE TABLE names (
            name TEXT PRIMARY KEY, row INTEGER NOT NULL,
            generation INTEGER, size INTEGER, md5 TEXT, crc32c TEXT
        ) WITHOUT ROWID
    """

    def __len__(self) -> int:
        """Return the number of claimed names."""
        return int(self._database.execute("SELECT count(*) FROM names").fetchone()[0])

    def claim(self, name: str, row: int) -> int:
        """Claim a name for a row; return the row that owns it: this one or an earlier one."""
        found = self._database.execute(
            "INSERT INTO names (name, row) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET row = names.row RETURNING row",
            (name, row),
        ).fetchone()
        return int(found[0])

    def record_listing(self, listing: Iterable[tuple[str, ObjectMeta]]) -> None:
        """Record a bucket's objects with claimed names; ignore all others."""
        self._database.executemany(
            "UPDATE names SET generation = ?, size = ?, md5 = ?, crc32c = ? WHERE name = ?",
            ((s.generation, s.size, s.md5, s.crc32c, name) for name, s in listing),
        )

    def stored(self, name: str) -> ObjectMeta | None:
        """Return the object that the bucket has under a name, or None."""
        found = self._database.execute(
            "SELECT generation, size, md5, crc32c FROM names "
            "WHERE name = ? AND generation IS NOT NULL",
            (name,),
        ).fetchone()
        return ObjectMeta(*found) if found else None
