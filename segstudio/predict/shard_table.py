"""Read shards of ``segstudio predict`` as a table whose rows have predictions."""

import io
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from segstudio.data.store import open_store
from segstudio.data.tables import CsvTable, Row, Table, TableError
from segstudio.gcs.client import GoogleSettings

FOLDER = "shards"
"""Folder of the shards in that of ``segstudio predict --out``."""


class ShardFormat(StrEnum):
    """Format of a shard, which is also its suffix."""

    JSONL = "jsonl"
    PARQUET = "parquet"


SUFFIXES = frozenset(f".{each}" for each in ShardFormat)


def is_shards(place: str) -> bool:
    """Return whether a path or address is a shard, a folder or a bucket, not a CSV file."""
    return place.startswith("gs://") or Path(place).is_dir() or _is_shard(place)


def _is_shard(name: str) -> bool:
    return Path(name).suffix in SUFFIXES


def open_task_table(place: str, delimiter: str, google: GoogleSettings) -> Table:
    """Open shards with predictions, or else a CSV file, as a table with a row for each task.

    Raises:
        TableError: The table cannot be read.
        BucketError: The bucket cannot be read.
    """
    return ShardTable(place, google) if is_shards(place) else CsvTable(Path(place), delimiter)


class ShardTable:
    """Tasks of shards in order; one shard at a time is in memory.

    Args:
        place: A shard, a folder of shards, or the folder above; on disk or ``gs://``.
        google: Settings for access to buckets.

    Raises:
        TableError: There is no shard, or the first is unreadable.
        BucketError: The bucket cannot be read.
    """

    def __init__(self, place: str, google: GoogleSettings) -> None:
        self._place = place
        if _is_shard(place):
            place, _, name = place.rpartition("/")
            self._store, self._shards = open_store(place, google), [name]
        else:
            self._store = open_store(place, google)
            names = [f"{FOLDER}/{name}" for name in self._store.names(FOLDER)]
            self._shards = sorted(filter(_is_shard, names or self._store.names("")))
        if not self._shards:
            raise TableError(
                f"there are no shards in {self._place}", "they end in .jsonl or .parquet"
            )
        first = next(self._tasks(), None)
        if first is None:
            raise TableError(f"{self._shards[0]} in {self._place} is empty")
        self.columns = tuple(first["data"])

    def __iter__(self) -> Iterator[Row]:
        """See ``Table``."""
        for number, task in enumerate(self._tasks(), start=1):
            values = {name: _text(value) for name, value in task["data"].items()}
            if set(values) != set(self.columns):
                raise TableError(f"task {number} of the shards has other data than the first")
            yield Row(number, values, tuple(task.get("predictions") or ()))

    def _tasks(self) -> Iterator[dict[str, Any]]:
        for shard in self._shards:
            try:
                content = self._store.read(shard)
                if content is None:
                    raise TableError(f"{shard} is not in {self._place}")
                yield from tasks_in(content, ShardFormat(shard.rpartition(".")[2]))
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise TableError(
                    f"{shard} in {self._place} is not a shard of tasks: {error}"
                ) from None


def tasks_in(content: bytes, kind: ShardFormat) -> Iterator[dict[str, Any]]:
    """Yield the tasks of a shard.

    Raises:
        ValueError: The content has another format.
        TypeError: An entry is not a task.
    """
    if kind is ShardFormat.JSONL:
        yield from (_checked(json.loads(line)) for line in content.splitlines())
        return
    # Optional dependency: `project create` reads CSV files and JSON Lines without it.
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    for batch in pq.ParquetFile(io.BytesIO(content)).iter_batches(batch_size=100):
        yield from (_checked(_without_none(task)) for task in batch.to_pylist())


def _checked(task: Any) -> dict[str, Any]:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise TypeError("a task without data")
    return task


def _without_none(value: Any) -> Any:
    """Remove None values: Parquet gives each group all fields that one of them has."""
    if isinstance(value, dict):
        return {name: _without_none(each) for name, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, list) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
