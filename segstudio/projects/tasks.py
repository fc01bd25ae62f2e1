"""Create tasks from a table's rows, checked before anything is created, in batches."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import urlsplit

from ml_backend.labelstudio.client import LabelStudio, NewTask
from ml_backend.labelstudio.control_tasks import CONTROL
from ml_backend.labelstudio.task_images import split_pages
from ml_backend.labelstudio.task_paths import put
from segstudio.data.manifest import IDENTIFIER
from segstudio.data.scratch_db import NameIndex
from segstudio.data.tables import Row, Table, TableError

BATCH = 500


@dataclass(frozen=True)
class TaskMapping:
    """Mapping of rows to tasks.

    Attributes:
        identifier_column: Unique column, which joins labels to rows later.
        image_column: Column with the image reference.
        image_key: Key of ``task.data`` whose image the label config shows.
        meta: Columns that the labeling page may show.
        pages: Whether the image's column holds several references, with line breaks, ``|``, ``;``
            or commas between them.
    """

    identifier_column: str
    image_column: str
    image_key: str
    meta: tuple[str, ...]
    # Not shown: projects made before are found by the text of their rule.
    pages: bool = field(default=False, repr=False)

    def check(self, columns: tuple[str, ...]) -> None:
        """Check that the table has all columns, and that none hides another.

        Raises:
            TableError: A column is missing, or would be hidden.
        """
        used = (self.identifier_column, self.image_column, *self.meta)
        missing = [repr(name) for name in used if name not in columns]
        if missing:
            raise TableError(
                f"the table has no column {', '.join(missing)}", f"it has {', '.join(columns)}"
            )
        others = {self.identifier_column, *self.meta} - {self.image_column}
        (root,) = put(self.image_key, "")
        if root in others:
            raise TableError(
                f"the template shows ${self.image_key} as the image, and a column of that name "
                "would take its place",
                f"rename that column, or leave it out; the image is {self.image_column!r}",
            )

    def task(self, row: Row) -> NewTask:
        """Return the task of a row; programs find it again by ``meta.identifier``."""
        identifier = row.values[self.identifier_column]
        data = {name: row.values[name] for name in (self.identifier_column, *self.meta)}
        references = self.references(row)
        shown = put(self.image_key, references if self.pages else references[0])
        return NewTask({**data, **shown}, {IDENTIFIER: identifier}, row.predictions)

    def references(self, row: Row) -> list[str]:
        """Return the references of a row's image, or of its pages."""
        image = row.values[self.image_column]
        return split_pages(image) if self.pages else [image]


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
        TableError: An identifier or image is empty, an identifier is repeated, or there is no row.
    """
    rows, digest, buckets = 0, hashlib.sha256(), dict[str, None]()
    with NameIndex() as index:
        for row in table:
            identifier, image = row.values[rule.identifier_column], row.values[rule.image_column]
            _check_row(row, rule, index)
            digest.update(f"{len(identifier)}:{identifier}{len(image)}:{image}".encode())
            for each in rule.references(row):
                if each.startswith("gs://"):
                    buckets[urlsplit(each).netloc] = None
            rows += 1
    if not rows:
        raise TableError("the table has no rows")
    return TableSummary(rows, digest.hexdigest(), tuple(buckets))


def _check_row(row: Row, rule: TaskMapping, index: NameIndex) -> None:
    for column in (rule.identifier_column, rule.image_column):
        if not row.values[column].strip():
            raise TableError(f"row {row.number} has no value in {column!r}")
    identifier = row.values[rule.identifier_column]
    first = index.claim(identifier, row.number)
    if first != row.number:
        raise TableError(
            f"rows {first} and {row.number} have the same {rule.identifier_column!r}, "
            f"{identifier!r}",
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
