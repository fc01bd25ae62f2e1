"""``failed.csv``: images that could not be predicted, each with the reason."""

import csv
import io
from collections.abc import Iterable, Sequence

from segstudio.data.manifest import IDENTIFIER
from segstudio.data.store import Store
from segstudio.predict.items import Outcome

_COLUMNS = ("identifier", "image", "reason", "key")


class Failures:
    """Table of failures, a row for each identifier or task; small, and rewritten as a whole.

    Args:
        store: Storage of the table.
        name: File name of the table.
        retry: Whether earlier failures are retried: the table starts empty.
    """

    def __init__(self, store: Store, name: str, *, retry: bool) -> None:
        self._store = store
        self._name = name
        content = store.read(name)
        text = "" if retry or content is None else content.decode()
        rows = csv.DictReader(io.StringIO(text, newline=""))
        self._rows = {row["identifier"]: row for row in rows}
        self._stale = retry and content is not None

    @property
    def known(self) -> Iterable[str]:
        """Return the keys of images that failed and are not retried."""
        return tuple(row["key"] for row in self._rows.values())

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Record new failures, and remove those that succeeded, also on disk."""
        for outcome in outcomes:
            item = outcome.item
            name = str(item.meta.get(IDENTIFIER, "") or item.task or "")
            image = item.reference[:200]
            self._stale |= self._rows.pop(name, None) is not None
            if outcome.prediction is None:
                values = (name, image, outcome.reason, item.key)
                self._rows[name] = dict(zip(_COLUMNS, values, strict=True))
                self._stale = True
        if self._stale:
            self._write()

    def _write(self) -> None:
        file = io.StringIO(newline="")
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(self._rows.values())
        self._store.write(self._name, file.getvalue().encode())
        self._stale = False
