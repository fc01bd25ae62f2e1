"""Match annotations to rows of the manifest."""

import json
from collections.abc import Mapping

from ml_backend.labelstudio.annotations import AnnotatedTask
from segstudio.data.manifest import IDENTIFIER, IMAGE
from segstudio.data.scratch_db import ScratchDatabase
from segstudio.data.tables import Table, TableError
from segstudio.export.references import name_reference, unsigned, without_signatures


class Manifest(ScratchDatabase):
    """Rows of a manifest, found by identifier or image.

    Args:
        table: Table of the manifest; None: no task has a row.
        identifier_column: Name of the column that is unique.

    Attributes:
        columns: Columns that it adds to a task's own.

    Raises:
        TableError: The table cannot be read, the column is missing, or an identifier is repeated.
    """

    schema = """
        CREATE TABLE rows (identifier TEXT PRIMARY KEY, image TEXT, cells TEXT NOT NULL)
        WITHOUT ROWID
    """

    def __init__(self, table: Table | None, identifier_column: str = IDENTIFIER) -> None:
        super().__init__()
        self._identifier_column = identifier_column
        self.columns: tuple[str, ...] = ()
        if table is not None:
            self._read(table)

    def find(self, task: AnnotatedTask) -> tuple[str, Mapping[str, str] | None]:
        """Return the identifier of a task, and its row, both without signatures.

        Tasks created by ``segstudio project create`` carry their identifier. Others are found by
        their image; if that fails, the image's object or address is the identifier.
        """
        given = task.meta.get(IDENTIFIER) or task.data.get(self._identifier_column)
        column, value = ("identifier", str(given)) if given else ("image", task.image)
        found = self._database.execute(
            # The column name is one of two constants.
            f"SELECT identifier, cells FROM rows WHERE {column} = ?",  # noqa: S608 # nosec B608
            (value,),
        ).fetchone()
        if found:
            cells = dict(zip(self.columns, json.loads(found[1]), strict=True))
            return unsigned(found[0]), without_signatures(cells)
        return unsigned(value) if given else name_reference(task.image) or f"task {task.id}", None

    def _read(self, table: Table) -> None:
        if self._identifier_column not in table.columns:
            raise TableError(
                f"the manifest has no column {self._identifier_column!r}",
                f"name it with --identifier-column; there are {', '.join(table.columns)}",
            )
        own = {self._identifier_column, IMAGE}
        self.columns = tuple(name for name in table.columns if name not in own)
        for row in table:
            identifier = row.values[self._identifier_column]
            cells = json.dumps([row.values[name] for name in self.columns])
            added = self._database.execute(
                "INSERT OR IGNORE INTO rows VALUES (?, ?, ?)",
                (identifier, row.values.get(IMAGE), cells),
            )
            if not added.rowcount:
                raise TableError(f"row {row.number} of the manifest repeats {identifier!r}")
        self._database.execute("CREATE INDEX by_image ON rows (image)")
