"""Tasks from a table's rows: looked through before anything is made, then added in portions."""

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
    """How a row becomes a task.

    Attributes:
        identifier_column: Different in each row; joins labels to rows later on.
        image_column: With the image's reference.
        image_key: That the label config shows the image of.
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
        """See that the table has all columns, and that none hides another.

        Raises:
            TableError: It is not so.
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
        """The task of a row; programs find it again by ``meta.identifier``."""
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
    """Return a task without suggestions: it is marked, and an empty prediction stands in for them.

    Label Studio asks no backend about a task that has a prediction when it is opened; where it does
    ask, the segmentation backend goes by the mark.
    """
    empty = {"model_version": CONTROL, "result": []}
    return NewTask(task.data, {**task.meta, CONTROL: "true"}, [empty])


@dataclass(frozen=True)
class TableSummary:
    """What a table holds.

    Attributes:
        rows: How many.
        digest: Of identifiers and images: the same table has the same.
        buckets: Those of ``gs://`` references.
    """

    rows: int
    digest: str
    buckets: tuple[str, ...]


def summarize(table: Table, rule: TaskMapping) -> TableSummary:
    """Look through a table.

    Raises:
        TableError: An identifier or image is empty, an identifier comes twice, or there is no row.
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
            raise TableError(f"row {row.number} has nothing in {column!r}")
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
    """Add those tasks that a project has not got yet, by identifier.

    Args:
        label_studio: That the project is in.
        project: Its id.
        tasks: Streamed once.

    Yields:
        For each portion, how many were added and how many were there already.

    Raises:
        LabelStudioError: It refuses a portion; those before it stay, and a second run goes on.
    """
    stream = iter(tasks)
    with _index_existing(label_studio, project) as index:
        while batch := list(islice(stream, BATCH)):
            new = [task for task in batch if index.claim(task.meta[IDENTIFIER], 1)]
            if new:
                label_studio.create_tasks(project, new)
            yield len(new), len(batch) - len(new)


def count_new(label_studio: LabelStudio, project: int, tasks: Iterable[NewTask]) -> int:
    """How many tasks ``add_tasks`` would add."""
    with _index_existing(label_studio, project) as index:
        return sum(bool(index.claim(task.meta[IDENTIFIER], 1)) for task in tasks)


@contextmanager
def _index_existing(label_studio: LabelStudio, project: int) -> Iterator[NameIndex]:
    """Those of the tasks that a project has, claimed for row 0."""
    with NameIndex() as index:
        for meta in label_studio.task_metas(project):
            index.claim(str(meta.get(IDENTIFIER, "")), 0)
        yield index
