"""Idempotent uploads: existing objects are skipped, failures are reported."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Literal, TypeVar

from segstudio.data.naming import NamingError, NamingRule
from segstudio.data.scratch_db import NameIndex
from segstudio.data.tables import Row, Table, TableError
from segstudio.gcs.objects import ObjectMeta, Objects, PreconditionFailedError, same_content

_SHOWN_PROBLEMS = 5
_WAITING_PER_WORKER = 8


@dataclass(frozen=True)
class Item:
    """A row with its image file and object name.

    Attributes:
        row: Row as read.
        path: Path of the image file; None if the row names none.
        name: Name of the object.
    """

    row: Row
    path: Path | None
    name: str


@dataclass(frozen=True)
class Outcome:
    """Outcome of one item.

    Attributes:
        item: Item that was processed.
        state: Result; ``present`` means that the bucket had the object already.
        reason: Reason of a failure; else empty.
    """

    item: Item
    state: Literal["uploaded", "present", "failed"]
    reason: str = ""


@dataclass(frozen=True)
class Source:
    """Files to upload and how to name them.

    Attributes:
        table: Rows that list the files.
        rule: Naming rule of the objects.
        path_column: Column with the path of the image file.
        root: Folder that relative paths start at.

    Raises:
        TableError: The column does not exist.
    """

    table: Table
    rule: NamingRule
    path_column: str
    root: Path

    def __post_init__(self) -> None:
        if self.path_column not in self.table.columns:
            raise TableError(
                f"there is no column {self.path_column!r} for the images' paths",
                f"the columns are: {', '.join(self.table.columns)}",
            )

    def items(self) -> Iterator[Item]:
        """Yield the rows with their names; raises NamingError like ``claim_names``."""
        for row in self.table:
            path = row.values[self.path_column]
            names_a_file = path.strip() and "\0" not in path
            name = self.rule.name(row.values)
            yield Item(row, self.root / path if names_a_file else None, name)


def claim_names(source: Source, index: NameIndex) -> None:
    """Read all rows once and claim their names, before anything is uploaded.

    Raises:
        NamingError: Rows have no usable name, or another row's; the first ones are shown.
        TableError: The table cannot be read.
    """
    shown: list[str] = []
    count = 0
    for row in source.table:
        if problem := _claim_name(row, source.rule, index):
            count += 1
            shown += [f"row {row.number}: {problem}"] if count <= _SHOWN_PROBLEMS else []
    if count:
        more = "; …" if count > len(shown) else ""
        raise NamingError(
            f"{count} rows have no unique name: {'; '.join(shown)}{more}",
            "fix these rows or choose other columns for --name; nothing was uploaded",
        )


def _claim_name(row: Row, rule: NamingRule, index: NameIndex) -> str:
    """Return the problem with a row's name; empty if there is none."""
    try:
        name = rule.name(row.values)
    except NamingError as error:
        return error.message
    first = index.claim(name, row.number)
    return "" if first == row.number else f"{name!r} is already the name of row {first}"


@dataclass(frozen=True)
class Uploader:
    """Uploader of items to a bucket.

    Attributes:
        objects: Objects of the bucket.
        replace: Whether an object with different content may be overwritten.
        dry_run: Whether to write nothing; outcomes then say what would be done.
        workers: Number of concurrent uploads.
    """

    objects: Objects
    replace: bool = False
    dry_run: bool = False
    workers: int = 8

    def upload(self, items: Iterable[Item], index: NameIndex) -> Iterator[Outcome]:
        """Upload what the index says is missing; yield outcomes in the items' order.

        Raises:
            BucketError: The bucket is unusable; earlier uploads stay.
        """
        work = ((item, index.stored(item.name)) for item in items)
        return _map_in_threads(lambda pair: self._upload_item(*pair), work, self.workers)

    def _upload_item(self, item: Item, stored: ObjectMeta | None) -> Outcome:
        if item.path is None:
            return Outcome(item, "failed", "the row names no file")
        try:
            return self._upload_file(item, item.path, stored)
        except OSError as error:
            return Outcome(item, "failed", f"{item.path}: {_error_text(error)}")

    def _upload_file(self, item: Item, path: Path, stored: ObjectMeta | None) -> Outcome:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            return Outcome(item, "failed", f"{path}: this is not a file")
        if not status.st_size:
            return Outcome(item, "failed", f"{path}: the file is empty")
        if stored is not None:
            if same_content(stored, path):
                return Outcome(item, "present")
            if not self.replace:
                return Outcome(
                    item, "failed", f"{path}: {item.name} has different content; see --replace"
                )
        if not self.dry_run:
            return self._put_object(item, path, stored.generation if stored else 0)
        return Outcome(item, "uploaded")

    def _put_object(self, item: Item, path: Path, replaces: int) -> Outcome:
        """Upload a file; if the response to a try was lost, the next one finds the object."""
        try:
            self.objects.put(item.name, path, replaces)
        except PreconditionFailedError as error:
            stored = self.objects.get(item.name)
            if stored is None or not same_content(stored, path):
                return Outcome(item, "failed", f"{path}: {error.message}")
        return Outcome(item, "uploaded")


def _error_text(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file does not exist"
    return error.strerror or type(error).__name__


_In = TypeVar("_In")
_Out = TypeVar("_Out")


def _map_in_threads(
    work: Callable[[_In], _Out], items: Iterable[_In], workers: int
) -> Iterator[_Out]:
    """Map in threads, in order, with few items queued; the first error stops it at once."""
    waiting: deque[Future[_Out]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers * _WAITING_PER_WORKER:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
