"""JSON files with long lists, with one item in memory at a time."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any, Self


class Spool:
    """List items kept on disk until the rest of their file can be written."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - see __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, item: Any) -> None:
        """Append an item."""
        self._file.write(json.dumps(item) + "\n")

    def __iter__(self) -> Iterator[str]:
        """Yield all items as JSON."""
        self._file.seek(0)
        return (line.rstrip("\n") for line in self._file)


def write_list(file: IO[str], name: str, items: Iterable[str], end: str = ",\n") -> None:
    """Write an object member whose value is a list of JSON-encoded items."""
    file.write(f'"{name}": [')
    for number, item in enumerate(items):
        file.write((",\n" if number else "\n") + item)
    file.write(f"\n]{end}")
