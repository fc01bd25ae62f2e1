"""Predictions in shards that Label Studio imports, and the ledger of what is in them.

Below one place: ``shards/part-000000.jsonl`` (or ``.parquet``), a task with its prediction a line;
``ledger/part-000000.keys``, the keys of that shard, written before it and void without it;
``about.json``, the model version and label config that all shards are of.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from segstudio.bulk.items import Outcome
from segstudio.bulk.stores import Store
from segstudio.shards import FOLDER
from segstudio.tables import TableError

_LEDGER = "ledger"
_ABOUT = "about.json"


class ShardFormat(StrEnum):
    """What a shard is."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True)
class About:
    """What all shards in a place have in common.

    Attributes:
        model_version: Of the predictions.
        label_config: SHA-256 of the label config, as hex.
    """

    model_version: str
    label_config: str

    @classmethod
    def of(cls, model_version: str, label_config: str) -> "About":
        """The model's and the label config's."""
        return cls(model_version, hashlib.sha256(label_config.encode()).hexdigest())


class Shards:
    """Writes shards, and knows the keys of those that are there.

    Args:
        store: Where they are.
        format_: What new ones are.
        about: The model and label config.

    Raises:
        TableError: There are shards of another model or label config.
    """

    size = 500

    def __init__(self, store: Store, format_: ShardFormat, about: About) -> None:
        self._store = store
        self._format = format_
        self._about = about
        found = store.read(_ABOUT)
        if found is not None and json.loads(found) != asdict(about):
            raise TableError(
                f"--out holds predictions of {json.loads(found)['model_version']}, or of another "
                f"label config; this would be {about.model_version}",
                "choose another --out",
            )
        self._parts = {name.partition(".")[0] for name in store.names(FOLDER)}

    def done(self) -> Iterator[str]:
        """The keys of all images that are in shards."""
        for name in self._store.names(_LEDGER):
            if name.removesuffix(".keys") in self._parts:
                yield from json.loads(self._store.read(f"{_LEDGER}/{name}") or b"[]")

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write one more shard."""
        if not self._parts:
            self._store.write(_ABOUT, json.dumps(asdict(self._about)).encode())
        part = f"part-{len(self._parts):06d}"
        keys = json.dumps([outcome.item.key for outcome in outcomes])
        self._store.write(f"{_LEDGER}/{part}.keys", keys.encode())
        content = encode([outcome.as_task for outcome in outcomes], self._format)
        self._store.write(f"{FOLDER}/{part}.{self._format}", content)
        self._parts.add(part)


def encode(tasks: Sequence[Mapping[str, Any]], format_: ShardFormat) -> bytes:
    """Tasks as the content of one shard."""
    if format_ is ShardFormat.JSONL:
        return b"".join(json.dumps(task).encode() + b"\n" for task in tasks)
    file = io.BytesIO()
    # Parquet knows no group without fields.
    filled = [{name: value for name, value in task.items() if value} for task in tasks]
    pq.write_table(pa.Table.from_pylist(filled), file, compression="zstd")
    return file.getvalue()
