"""Uploads that can be run again: what is there is left alone, what failed is named."""

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
    """A row, its image and its object.

    Attributes:
        row: As it was read.
        path: Of the image file; None where the row names none.
        name: Of the object.
    """

    row: Row
    path: Path | None
    name: str


@dataclass(frozen=True)
class Outcome:
    """How it went with an item.

    Attributes:
        item: It.
        state: ``present``: the bucket had it already.
        reason: Of a failure; else empty.
    """

    item: Item
    state: Literal["uploaded", "present", "failed"]
    reason: str = ""


@dataclass(frozen=True)
class Source:
    """What to upload and how to name it.

    Attributes:
        table: The rows.
        rule: Names the objects.
        path_column: Column with the path of the image file.
        root: Folder that relative paths begin at.

    Raises:
        TableError: There is no such column.
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
        """The rows with their names; NamingError where ``claim_names`` would raise it."""
        for row in self.table:
            path = row.values[self.path_column]
            names_a_file = path.strip() and "\0" not in path
            name = self.rule.name(row.values)
            yield Item(row, self.root / path if names_a_file else None, name)


def claim_names(source: Source, index: NameIndex) -> None:
    """Read all rows once and claim their names, before anything is sent.

    Raises:
        NamingError: Rows without a usable name, or with another row's; the first are shown.
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
            f"{count} rows get no name of their own: {'; '.join(shown)}{more}",
            "mend these rows or choose other columns for --name; nothing was uploaded",
        )


def _claim_name(row: Row, rule: NamingRule, index: NameIndex) -> str:
    """The problem with a row's name; empty where there is none."""
    try:
        name = rule.name(row.values)
    except NamingError as error:
        return error.message
    first = index.claim(name, row.number)
    return "" if first == row.number else f"{name!r} is the name of row {first} already"


@dataclass(frozen=True)
class Uploader:
    """Brings items into a bucket.

    Attributes:
        objects: Of the bucket.
        replace: Whether an object with other content may be overwritten.
        dry_run: Whether to write nothing; the outcomes then say what would be.
        workers: Uploads at the same time.
    """

    objects: Objects
    replace: bool = False
    dry_run: bool = False
    workers: int = 8

    def upload(self, items: Iterable[Item], index: NameIndex) -> Iterator[Outcome]:
        """Upload what the index says is not there yet; the outcomes come in the items' order.

        Raises:
            BucketError: The bucket cannot be used; what was uploaded before stays.
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
                    item, "failed", f"{path}: {item.name} holds something else; see --replace"
                )
        if not self.dry_run:
            return self._put_object(item, path, stored.generation if stored else 0)
        return Outcome(item, "uploaded")

    def _put_object(self, item: Item, path: Path, replaces: int) -> Outcome:
        """Write; where the answer to a try got lost, the next one finds its own work done."""
        try:
            self.objects.put(item.name, path, replaces)
        except PreconditionFailedError as error:
            stored = self.objects.get(item.name)
            if stored is None or not same_content(stored, path):
                return Outcome(item, "failed", f"{path}: {error.message}")
        return Outcome(item, "uploaded")


def _error_text(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    return error.strerror or type(error).__name__


_In = TypeVar("_In")
_Out = TypeVar("_Out")


def _map_in_threads(
    work: Callable[[_In], _Out], items: Iterable[_In], workers: int
) -> Iterator[_Out]:
    """Map in threads, in order, with few items waiting; the first error ends it at once."""
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
