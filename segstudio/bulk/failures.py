"""``failed.csv``: the images that could not be predicted, each with the reason."""

import csv
import io
from collections.abc import Iterable, Sequence

from segstudio.bulk.items import Outcome
from segstudio.bulk.stores import Store

_COLUMNS = ("identifier", "image", "reason", "key")


class Failures:
    """The table of failures; it is rewritten whole, and there are few.

    Args:
        store: Where it is.
        name: Of the file.
        retry: Whether what failed before is taken again: the table begins empty.
    """

    def __init__(self, store: Store, name: str, *, retry: bool) -> None:
        self._store = store
        self._name = name
        content = store.read(name)
        text = "" if retry or content is None else content.decode()
        self._rows = {row["key"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
        self._stale = retry and content is not None

    @property
    def known(self) -> Iterable[str]:
        """Keys of the images that failed and are not to be taken again."""
        return tuple(self._rows)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Note failures, on disk too."""
        for outcome in outcomes:
            item = outcome.item
            identifier = str(item.meta.get("identifier", "") or item.task or "")
            values = (identifier, item.reference[:200], outcome.reason, item.key)
            self._rows[item.key] = dict(zip(_COLUMNS, values, strict=True))
        if outcomes or self._stale:
            self._write()

    def _write(self) -> None:
        file = io.StringIO(newline="")
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(self._rows.values())
        self._store.write(self._name, file.getvalue().encode())
        self._stale = False
