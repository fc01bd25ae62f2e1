"""Shards as ``segstudio predict`` writes them, read as a table whose rows have predictions."""

import io
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from segstudio.tables import Row, TableError

FOLDER = "shards"
"""Of the shards, in the folder that ``segstudio predict --out`` names."""


class ShardFormat(StrEnum):
    """What a shard is written as; its suffix."""

    JSONL = "jsonl"
    PARQUET = "parquet"


SUFFIXES = frozenset(f".{each}" for each in ShardFormat)


def is_shards(path: Path) -> bool:
    """Whether a path is a shard or a folder, and no CSV file."""
    return path.is_dir() or path.suffix in SUFFIXES


class ShardTable:
    """The tasks of shards, in the shards' order; one shard at a time is in memory.

    Args:
        path: Of one shard, of a folder of shards, or of what holds that folder.

    Raises:
        TableError: There is no shard, or the first cannot be read.
    """

    def __init__(self, path: Path) -> None:
        folder = path / FOLDER if (path / FOLDER).is_dir() else path
        files = sorted(folder.iterdir()) if folder.is_dir() else [path]
        self._shards = [file for file in files if file.suffix in SUFFIXES]
        if not self._shards:
            raise TableError(f"there are no shards in {path}", "they end in .jsonl or .parquet")
        first = next(self._tasks(), None)
        if first is None:
            raise TableError(f"{self._shards[0]} is empty")
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
                yield from tasks_in(shard.read_bytes(), ShardFormat(shard.suffix[1:]))
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise TableError(f"{shard} is not a shard of tasks: {error}") from None


def tasks_in(content: bytes, kind: ShardFormat) -> Iterator[dict[str, Any]]:
    """The tasks of a shard.

    Raises:
        ValueError: It is not written so.
        TypeError: Something in it is no task.
    """
    if kind is ShardFormat.JSONL:
        yield from (_checked(json.loads(line)) for line in content.splitlines())
        return
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    for batch in pq.ParquetFile(io.BytesIO(content)).iter_batches(batch_size=100):
        yield from (_checked(_without_none(task)) for task in batch.to_pylist())


def _checked(task: Any) -> dict[str, Any]:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise TypeError("a task without data")
    return task


def _without_none(value: Any) -> Any:
    """Parquet gives each group all fields that one of them has."""
    if isinstance(value, dict):
        return {name: _without_none(each) for name, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, list) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
