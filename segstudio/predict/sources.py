"""Which images are to be predicted: of a manifest, a bucket or a folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from segstudio.data.manifest import IDENTIFIER
from segstudio.data.tables import IMAGE_SUFFIXES, FolderTable, Row, Table
from segstudio.gcs.objects import Objects
from segstudio.predict.items import Item
from segstudio.projects.tasks import TaskMapping


def manifest_items(table: Table, rule: TaskMapping) -> Iterator[Item]:
    """The rows of a manifest, all their columns in the task."""
    for row in table:
        task = rule.task(row)
        reference = row.values[rule.image_column]
        key = _key(row.values[rule.identifier_column], reference)
        yield Item(key, reference, task.data, task.meta)


def folder_items(folder: Path, image_key: str) -> Iterator[Item]:
    """The images of a folder, as Label Studio's local files; a changed file is another image."""

    def item(row: Row) -> Item:
        name = row.values["path"]
        stat = (folder / name).stat()
        reference = f"/data/local-files/?d={quote(name)}"
        return _named(_key(name, stat.st_size, stat.st_mtime_ns), name, reference, image_key)

    return map(item, FolderTable(folder))


def bucket_items(objects: Objects, bucket: str, prefix: str, image_key: str) -> Iterator[Item]:
    """The images of a bucket; an object of another generation is another image."""
    for name, stored in objects.list(prefix):
        if Path(name).suffix.lower() in IMAGE_SUFFIXES:
            reference = f"gs://{bucket}/{name}"
            yield _named(_key(name, stored.generation), name, reference, image_key)


def _named(key: str, name: str, reference: str, image_key: str) -> Item:
    return Item(key, reference, {IDENTIFIER: name, image_key: reference}, {IDENTIFIER: name})


def _key(*parts: str | int) -> str:
    return json.dumps(parts)
