"""Store predictions in shards that Label Studio imports, with a ledger of their contents.

Files: ``shards/part-000000.jsonl`` (or ``.parquet``), one task with its prediction per line;
``ledger/part-000000.keys``, the keys of that shard, written before it and void without it;
``about.json``, the model version and label config of all shards.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from segstudio.data.manifest import IDENTIFIER
from segstudio.data.store import Store
from segstudio.data.tables import TableError
from segstudio.predict.items import Outcome
from segstudio.predict.shard_table import FOLDER, ShardFormat, tasks_in

_LEDGER = "ledger"
_ABOUT = "about.json"
_PART = re.compile(rf"(part-\d+)\.(?:{'|'.join(ShardFormat)})").fullmatch


@dataclass(frozen=True)
class About:
    """Common properties of all shards in one place.

    Attributes:
        model_version: Model version of the predictions.
        label_config: SHA-256 of the label config in hex.
    """

    model_version: str
    label_config: str

    @classmethod
    def of(cls, model_version: str, label_config: str) -> "About":
        """Return the properties for a model version and a label config."""
        return cls(model_version, hashlib.sha256(label_config.encode()).hexdigest())


class ShardSink:
    """Writer of shards, which knows the keys of existing ones.

    Args:
        store: Storage of the shards.
        format_: Format of new shards.
        about: Model version and label config.

    Raises:
        TableError: There are shards of another model or label config.
    """

    size = 500

    def __init__(self, store: Store, format_: ShardFormat, about: About) -> None:
        self._store = store
        self._shard_format = format_
        self._about = about
        self._parts = {found[1]: name for name in store.names(FOLDER) if (found := _PART(name))}
        self._part_of: dict[str, str] = {}
        there = store.read(_ABOUT) if self._parts else None
        if there is not None and json.loads(there) != asdict(about):
            raise TableError(
                f"--out holds predictions of {json.loads(there)['model_version']}, or of another "
                f"label config; this would be {about.model_version}",
                "choose another --out",
            )

    def done(self) -> Iterator[str]:
        """Yield the keys of all images in shards."""
        for part in sorted(self._parts):
            keys = self._keys(part)
            self._part_of.update((_image_of(key), part) for key in keys)
            yield from keys

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write another shard; older predictions of the same images are removed."""
        keys = [outcome.item.key for outcome in outcomes]
        images = set(map(_image_of, keys))
        for part in {self._part_of[image] for image in images & self._part_of.keys()}:
            self._drop_images(part, images)
        if not self._parts:
            self._store.write(_ABOUT, json.dumps(asdict(self._about)).encode())
        part = f"part-{1 + max((int(each[5:]) for each in self._parts), default=-1):06d}"
        self._parts[part] = f"{part}.{self._shard_format}"
        self._write_keys(part, keys)
        self._write_tasks(part, [outcome.as_task for outcome in outcomes])
        self._part_of.update(dict.fromkeys(images, part))

    def _drop_images(self, part: str, images: Set[str]) -> None:
        # Tasks first: a key without a task, of a removed image, does no harm.
        content = self._store.read(f"{FOLDER}/{self._parts[part]}") or b""
        tasks = tasks_in(content, _shard_format(self._parts[part]))
        self._write_tasks(part, [task for task in tasks if task["meta"][IDENTIFIER] not in images])
        self._write_keys(part, [key for key in self._keys(part) if _image_of(key) not in images])

    def _keys(self, part: str) -> list[str]:
        keys: list[str] = json.loads(self._store.read(f"{_LEDGER}/{part}.keys") or b"[]")
        return keys

    def _write_keys(self, part: str, keys: Sequence[str]) -> None:
        self._store.write(f"{_LEDGER}/{part}.keys", json.dumps(keys).encode())

    def _write_tasks(self, part: str, tasks: Sequence[Mapping[str, Any]]) -> None:
        name = self._parts[part]
        self._store.write(f"{FOLDER}/{name}", encode(tasks, _shard_format(name)))


def _image_of(key: str) -> str:
    """Return the part of a key that identifies the image, without its content."""
    return str(json.loads(key)[0])


def _shard_format(name: str) -> ShardFormat:
    return ShardFormat(name.rpartition(".")[2])


def encode(tasks: Sequence[Mapping[str, Any]], format_: ShardFormat) -> bytes:
    """Encode tasks as the content of one shard."""
    if format_ is ShardFormat.JSONL:
        return b"".join(json.dumps(task).encode() + b"\n" for task in tasks)
    file = io.BytesIO()
    # Parquet has no groups without fields.
    filled = [{name: value for name, value in task.items() if value} for task in tasks]
    pq.write_table(pa.Table.from_pylist(filled), file, compression="zstd")
    return file.getvalue()
