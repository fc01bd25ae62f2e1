"""Create tasks from a table's rows, checked before anything is created, in batches."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from ml_backend.labelstudio.client import LabelStudio, NewTask
from ml_backend.labelstudio.control_tasks import CONTROL
from ml_backend.labelstudio.task_images import split_pages
from ml_backend.labelstudio.task_paths import look_up, place, root
from segstudio.data.manifest import IDENTIFIER
from segstudio.data.scratch_db import NameIndex
from segstudio.data.tables import Row, Table, TableError

BATCH = 500


@dataclass(frozen=True)
class TaskField:
    """Field of ``task.data`` that a template shows.

    Attributes:
        path: Path of the field, such as ``image``, ``photo.url`` or ``images[1]``.
        pages: Whether it holds several references; a table has them in one cell, with line breaks,
            ``|``, ``;`` or commas between them, or as a JSON list.
        labels: Whether it holds the labels of the task, a JSON list, instead of references.
    """

    path: str
    pages: bool = False
    labels: bool = False


@dataclass(frozen=True)
class TaskMapping:
    """Mapping of rows to tasks.

    Attributes:
        identifier_column: Unique column, which joins labels to rows later.
        image_column: Column with the references, if the template shows one field of references.
            Otherwise, and for labels, a field is in the column of its name.
        fields: Fields that the template shows.
        meta: Columns that the labeling page may show.
    """

    identifier_column: str
    image_column: str
    fields: tuple[TaskField, ...]
    meta: tuple[str, ...]

    @property
    def mark(self) -> str:
        """Text that identifies the mapping, in the form of the projects that exist already."""
        paths = ", ".join(field.path for field in self.fields if not field.labels)
        return (
            f"TaskMapping(identifier_column={self.identifier_column!r}, "
            f"image_column={self.image_column!r}, image_key={paths!r}, meta={self.meta!r})"
        )

    def check(self, columns: tuple[str, ...]) -> None:
        """Check that the table has all columns, and that none hides another.

        Raises:
            TableError: A column is missing, or would be hidden.
        """
        sources = {field: self._column(field, columns) for field in self.fields}
        used = (self.identifier_column, *sources.values(), *self.meta)
        missing = [repr(name) for name in dict.fromkeys(used) if name not in columns]
        if missing:
            raise TableError(
                f"the table has no column {', '.join(missing)}", f"it has {', '.join(columns)}"
            )
        for field, source in sources.items():
            if root(field.path) in {self.identifier_column, *self.meta} - {source}:
                shown = "labels" if field.labels else "image"
                raise TableError(
                    f"the template shows ${field.path} as the {shown}, and a column of that name "
                    "would take its place",
                    f"rename that column, or leave it out; the {shown} is {source!r}",
                )

    def columns(self, all_: Collection[str]) -> tuple[str, ...]:
        """Return the columns of the fields, of all columns of a table."""
        return tuple(dict.fromkeys(self._column(field, all_) for field in self.fields))

    def task(self, row: Row) -> NewTask:
        """Return the task of a row; programs find it again by ``meta.identifier``.

        Raises:
            TableError: A field has no value, or one of another kind.
        """
        identifier = row.values[self.identifier_column]
        data = {name: row.values[name] for name in (self.identifier_column, *self.meta)}
        shown = place((field.path, self._value(field, row)) for field in self.fields)
        return NewTask({**data, **shown}, {IDENTIFIER: identifier}, row.predictions)

    def references(self, row: Row) -> list[str]:
        """Return the references of a row, of all fields and pages.

        Raises:
            TableError: See ``task``.
        """
        values = [self._value(field, row) for field in self.fields if not field.labels]
        return [
            each for value in values for each in (value if isinstance(value, list) else [value])
        ]

    def _column(self, field: TaskField, columns: Collection[str]) -> str:
        named = (field.path, root(field.path))
        alone = not field.labels and sum(not each.labels for each in self.fields) == 1
        candidates = (self.image_column, *named) if alone else named
        return next((name for name in candidates if name in columns), candidates[0])

    def _value(self, field: TaskField, row: Row) -> Any:
        """Return what a task has under a field: text, or a list for pages and labels."""
        column = self._column(field, row.values)
        value: Any = row.values[column]
        if column == root(field.path) != field.path:
            # The whole object or list that the path leads into, as shards have it.
            whole = _parsed(value)
            inside = isinstance(whole, dict | list) or column != self.image_column
            value = look_up({column: whole}, field.path) if inside else value
        if isinstance(value, str) and (field.labels or field.pages):
            value = _parsed(value) if field.labels else split_pages(value)
        if not _is_valid(field, value):
            kind = "JSON list of labels" if field.labels else "value"
            raise TableError(f"row {row.number} has no {kind} in {column!r} for ${field.path}")
        return value


def _parsed(text: str) -> Any:
    """Return the value of a JSON cell; None if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _is_valid(field: TaskField, value: Any) -> bool:
    if field.labels:
        return isinstance(value, list)
    listed = value if field.pages and isinstance(value, list) else [value]
    return bool(listed) and all(isinstance(each, str) and each.strip() for each in listed)


def control_task(task: NewTask) -> NewTask:
    """Return a task without suggestions, marked, with an empty prediction in their place.

    Label Studio asks no backend about an opened task that has a prediction; if it does ask, the
    segmentation backend goes by the mark.
    """
    empty = {"model_version": CONTROL, "result": []}
    return NewTask(task.data, {**task.meta, CONTROL: "true"}, [empty])


@dataclass(frozen=True)
class TableSummary:
    """Summary of a table.

    Attributes:
        rows: Number of rows.
        digest: Digest of identifiers and images; equal tables have equal digests.
        buckets: Buckets of ``gs://`` references.
    """

    rows: int
    digest: str
    buckets: tuple[str, ...]


def summarize(table: Table, rule: TaskMapping) -> TableSummary:
    """Read a table and validate it.

    Raises:
        TableError: An identifier, image or label list is invalid, an identifier is repeated, or
            there is no row.
    """
    rows, digest, buckets = 0, hashlib.sha256(), dict[str, None]()
    with NameIndex() as index:
        for row in table:
            _check_identifier(row, rule.identifier_column, index)
            cells = (rule.identifier_column, *rule.columns(row.values))
            for value in (row.values[name] for name in cells):
                digest.update(f"{len(value)}:{value}".encode())
            rule.task(row)  # raises if a field has no value
            for each in rule.references(row):
                if each.startswith("gs://"):
                    buckets[urlsplit(each).netloc] = None
            rows += 1
    if not rows:
        raise TableError("the table has no rows")
    return TableSummary(rows, digest.hexdigest(), tuple(buckets))


def _check_identifier(row: Row, column: str, index: NameIndex) -> None:
    identifier = row.values[column]
    if not identifier.strip():
        raise TableError(f"row {row.number} has no value in {column!r}")
    first = index.claim(identifier, row.number)
    if first != row.number:
        raise TableError(
            f"rows {first} and {row.number} have the same {column!r}, {identifier!r}",
            "choose another --identifier-column",
        )


def add_tasks(
    label_studio: LabelStudio, project: int, tasks: Iterable[NewTask]
) -> Iterator[tuple[int, int]]:
    """Add the tasks that a project does not have, by identifier.

    Args:
        label_studio: Client for the Label Studio instance.
        project: Project ID.
        tasks: Tasks, streamed once.

    Yields:
        Number of added and of existing tasks, for each batch.

    Raises:
        LabelStudioError: A batch is refused; earlier ones stay, and a second run continues.
    """
    stream = iter(tasks)
    with _index_existing(label_studio, project) as index:
        while batch := list(islice(stream, BATCH)):
            new = [task for task in batch if index.claim(task.meta[IDENTIFIER], 1)]
            if new:
                label_studio.create_tasks(project, new)
            yield len(new), len(batch) - len(new)


def count_new(label_studio: LabelStudio, project: int, tasks: Iterable[NewTask]) -> int:
    """Return the number of tasks that ``add_tasks`` would add."""
    with _index_existing(label_studio, project) as index:
        return sum(bool(index.claim(task.meta[IDENTIFIER], 1)) for task in tasks)


@contextmanager
def _index_existing(label_studio: LabelStudio, project: int) -> Iterator[NameIndex]:
    """Yield an index of the project's tasks, claimed for row 0."""
    with NameIndex() as index:
        for meta in label_studio.task_metas(project):
            index.claim(str(meta.get(IDENTIFIER, "")), 0)
        yield index
