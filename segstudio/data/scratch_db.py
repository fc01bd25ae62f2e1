"""The names that an upload gives and what the bucket holds under them, however many there are."""

import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from segstudio.gcs.objects import ObjectMeta

_SCHEMA = """
    CREATE TABLE names (
        name TEXT PRIMARY KEY, row INTEGER NOT NULL,
        generation INTEGER, size INTEGER, md5 TEXT, crc32c TEXT
    ) WITHOUT ROWID
"""


class NameIndex:
    """A temporary SQLite database: memory stays flat, and nothing outlives the process."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()

    def __len__(self) -> int:
        """How many names are claimed."""
        return int(self._database.execute("SELECT count(*) FROM names").fetchone()[0])

    def claim(self, name: str, row: int) -> int:
        """Claim a name for a row; returns the row that has it: this one, or one before."""
        found = self._database.execute(
            "INSERT INTO names (name, row) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET row = names.row RETURNING row",
            (name, row),
        ).fetchone()
        return int(found[0])

    def record_listing(self, listing: Iterable[tuple[str, ObjectMeta]]) -> None:
        """Keep what a bucket holds under the names claimed, and nothing of the rest."""
        self._database.executemany(
            "UPDATE names SET generation = ?, size = ?, md5 = ?, crc32c = ? WHERE name = ?",
            ((s.generation, s.size, s.md5, s.crc32c, name) for name, s in listing),
        )

    def stored(self, name: str) -> ObjectMeta | None:
        """What the bucket holds under a name."""
        found = self._database.execute(
            "SELECT generation, size, md5, crc32c FROM names "
            "WHERE name = ? AND generation IS NOT NULL",
            (name,),
        ).fetchone()
        return ObjectMeta(*found) if found else None
