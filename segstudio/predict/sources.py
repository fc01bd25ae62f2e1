"""Tasks to predict: of a manifest, a bucket or a folder."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from ml_backend.errors import SettingsError
from ml_backend.images.gcs import GcsAddress
from ml_backend.labelstudio.task_paths import place
from ml_backend.serving.settings import read_settings
from segstudio.data.manifest import IDENTIFIER, IMAGE
from segstudio.data.tables import IMAGE_SUFFIXES, CsvTable, FolderTable, Row, Table
from segstudio.gcs.client import GoogleObjects, GoogleSettings, connect, parse_address
from segstudio.gcs.objects import Objects
from segstudio.predict.items import Item
from segstudio.projects.tasks import TaskField, TaskMapping, summarize


@dataclass(frozen=True)
class ImagesSpec:
    """Images of a manifest, else of a bucket or a folder.

    Attributes:
        source: ``gs://bucket/prefix`` or a folder; not used with a manifest.
        manifest: CSV file with a row for each image; None: all images of ``source``.
        image_column: Column of the manifest with the images' references.
        identifier_column: Column of the manifest that is unique.
        left_out: Counter, by suffix, of files of ``source`` that are not images.
    """

    source: str = ""
    manifest: Path | None = None
    image_column: str = IMAGE
    identifier_column: str = IDENTIFIER
    left_out: Counter[str] = field(default_factory=Counter, compare=False, repr=False)

    @property
    def folder(self) -> Path | None:
        """Folder of the images, if they are in one."""
        in_folder = self.source and not self.source.startswith("gs://")
        return Path(self.source) if in_folder else None


def open_items(spec: ImagesSpec, fields: tuple[TaskField, ...]) -> Iterator[Item]:
    """Return the tasks of a manifest's rows, or of the images of a bucket or a folder.

    Args:
        spec: Images to predict.
        fields: Fields of the tasks that the template shows.

    Raises:
        TableError: The manifest is unreadable, or has invalid rows.
        SettingsError: The template shows several images, and the source is no manifest.
        BucketError: The bucket cannot be listed.
    """
    if spec.manifest is not None:
        return manifest_items(*_open_manifest(spec, spec.manifest, fields))
    if len(fields) > 1:
        raise SettingsError(
            f"the template shows several fields: {', '.join(each.path for each in fields)}; "
            "a file is one image",
            "give --manifest, a CSV with a column for each, or --project",
        )
    (field,) = fields
    if spec.folder is not None:
        return folder_items(spec.folder, field, spec.left_out)
    address = parse_address(spec.source)
    objects = GoogleObjects(connect(read_settings(GoogleSettings)), address.bucket)
    return bucket_items(objects, address, field, spec.left_out)


def _open_manifest(
    spec: ImagesSpec, path: Path, fields: tuple[TaskField, ...]
) -> tuple[Table, TaskMapping]:
    table = CsvTable(path)
    mapping = TaskMapping(spec.identifier_column, spec.image_column, fields, ())
    own = (spec.identifier_column, *mapping.columns(table.columns))
    mapping = replace(mapping, meta=tuple(name for name in table.columns if name not in own))
    mapping.check(table.columns)
    summarize(table, mapping)
    return table, mapping


def manifest_items(table: Table, rule: TaskMapping) -> Iterator[Item]:
    """Yield the rows of a manifest, with all columns in the task."""
    for row in table:
        task = rule.task(row)
        references = rule.references(row)
        key = _item_key(row.values[rule.identifier_column], *references)
        yield Item(key, references[0], task.data, task.meta)


def folder_items(
    folder: Path, field: TaskField, left_out: Counter[str] | None = None
) -> Iterator[Item]:
    """Yield the images of a folder as Label Studio's local files; a changed file is a new image."""

    def item(row: Row) -> Item:
        name = row.values["path"]
        stat = (folder / name).stat()
        reference = f"/data/local-files/?d={quote(name)}"
        return _item(_item_key(name, stat.st_size, stat.st_mtime_ns), name, reference, field)

    table = FolderTable(folder)
    if left_out is not None:
        table.left_out = left_out
    return map(item, table)


def bucket_items(
    objects: Objects,
    address: GcsAddress,
    field: TaskField,
    left_out: Counter[str] | None = None,
) -> Iterator[Item]:
    """Yield the images of a bucket; an object with another generation is a new image."""
    for name, stored in objects.list(address.name):
        suffix = Path(name).suffix.lower()
        if suffix not in IMAGE_SUFFIXES:
            if left_out is not None and not name.endswith("/"):
                left_out[suffix] += 1
        else:
            reference = str(GcsAddress(address.bucket, name))
            yield _item(_item_key(name, stored.generation), name, reference, field)


def _item(key: str, name: str, reference: str, field: TaskField) -> Item:
    shown = place([(field.path, [reference] if field.pages else reference)])
    return Item(key, reference, {IDENTIFIER: name, **shown}, {IDENTIFIER: name})


def _item_key(*parts: str | int) -> str:
    return json.dumps(parts)
