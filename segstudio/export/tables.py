"""Write rows as CSV, JSON Lines or Parquet."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

from segstudio.data.atomic_files import atomic_write
from segstudio.export.references import without_signatures
from segstudio.export.rows import Column, Columns, Entry, Kind, Problem, Value, cell

_ROW_GROUP = 1000


@dataclass(frozen=True)
class Added:
    """Result of writing one annotation.

    Attributes:
        regions: Number of regions written.
        left_out: Number of regions that are not masks: points, and boxes next to finer shapes.
        problems: Parts that could not be written.
    """

    regions: int = 0
    left_out: int = 0
    problems: Sequence[Problem] = ()


Add = Callable[[Entry], Added]


@contextmanager
def write_csv(path: Path, columns: Columns) -> Iterator[Add]:
    """Write CSV in UTF-8; lists are JSON."""
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([column.name for column in columns])

        def add(entry: Entry) -> Added:
            rows.writerow([cell(value) for value in entry.row.values()])
            return Added()

        yield add


@contextmanager
def write_jsonl(path: Path, _: Columns) -> Iterator[Add]:
    """Write JSON Lines: the row, the task's data and meta, and the unchanged result.

    Signatures are removed from addresses.
    """
    with atomic_write(path) as part, part.open("w", encoding="utf-8") as file:

        def add(entry: Entry) -> Added:
            line = {
                **entry.row,
                "data": without_signatures(entry.task.data),
                "meta": without_signatures(entry.task.meta),
                "result": entry.annotation.result,
            }
            file.write(json.dumps(line, ensure_ascii=False, default=_json) + "\n")
            return Added()

        yield add


@contextmanager
def write_parquet(path: Path, columns: Columns) -> Iterator[Add]:
    """Write typed Parquet in row groups."""
    schema = pa.schema([(column.name, _arrow(column.kind)) for column in columns])
    rows: list[dict[str, Value]] = []
    with atomic_write(path) as part, parquet.ParquetWriter(part, schema) as file:

        def flush() -> None:
            file.write_table(pa.Table.from_pylist(rows, schema))
            rows.clear()

        def add(entry: Entry) -> Added:
            rows.append({column.name: typed(entry.row[column.name], column) for column in columns})
            if len(rows) == _ROW_GROUP:
                flush()
            return Added()

        yield add
        flush()


def _arrow(kind: Kind) -> pa.DataType:
    types = {
        "text": pa.string(),
        "number": pa.float64(),
        "integer": pa.int64(),
        "flag": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
        "list": pa.list_(pa.string()),
        "parts": pa.string(),
    }
    return types[kind]


def typed(value: Value, column: Column) -> Value:
    """Return a value for Parquet: parts of video and audio as JSON."""
    return cell(value) or None if column.kind == "parts" else value


def _json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} is not JSON")
