"""Upload from end to end: names, listing of the bucket, files, manifest."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from segstudio.data.manifest import ManifestWriter, manifest_columns, manifest_path
from segstudio.data.naming import NamingRule
from segstudio.data.scratch_db import NameIndex
from segstudio.data.tables import CsvTable, FolderTable
from segstudio.data.uploads import Outcome, Source, Uploader, claim_names
from segstudio.gcs.objects import BucketError, ObjectMeta


@dataclass(frozen=True)
class ManifestSpec:
    """Path of the manifest, and the names of its own columns.

    Attributes:
        path: CSV file to write; None: ``SOURCE.manifest.csv`` next to the source.
        identifier_column: Name of the column for the objects' names.
        image_column: Name of the column for the ``gs://`` references.
    """

    path: Path | None
    identifier_column: str
    image_column: str


def folder_source(
    folder: Path, path_column: str, name: str, root: Path | None, suffixes: frozenset[str]
) -> Source:
    """Return the files of a folder; ``path_column`` and ``name`` default to their paths."""
    table = FolderTable(folder, suffixes)
    rule = NamingRule.parse(name or "{path}", table.columns)
    return Source(table, rule, path_column or "path", root or folder)


def csv_source(
    path: Path, path_column: str, name: str, root: Path | None, delimiter: str
) -> Source:
    """Return the images of a CSV file's rows; relative paths start at the file's folder."""
    table = CsvTable(path, delimiter)
    rule = NamingRule.parse(name, table.columns)
    return Source(table, rule, path_column, root or path.parent)


@contextmanager
def open_upload(
    path: Path, source: Source, uploader: Uploader, bucket: str, manifest: ManifestSpec
) -> Iterator["UploadJob"]:
    """Claim all names and open the manifest, which appears when the body succeeds.

    Args:
        path: CSV file or folder that ``source`` reads.
        source: Images to upload.
        uploader: Uploader to the bucket.
        bucket: Name of the bucket.
        manifest: Path and columns of the manifest; a dry run writes none.

    Raises:
        NamingError: A row has no usable name, or the name of another row.
        TableError: The source cannot be read, or the manifest cannot be written.
    """
    columns = manifest_columns(source.table, manifest.identifier_column, manifest.image_column)
    target = manifest_path(path, manifest.path)
    with NameIndex() as index:
        claim_names(source, index)
        if uploader.dry_run:
            yield UploadJob(source, uploader, index, None, None)
        else:
            with ManifestWriter.open(target, columns, bucket) as writer:
                yield UploadJob(source, uploader, index, writer, target)


@dataclass(frozen=True)
class UploadJob:
    """Upload whose names are all claimed.

    Attributes:
        source: Images to upload.
        uploader: Uploader to the bucket.
        index: Names of the objects, and what the bucket contains under them.
        manifest: Writer of a row for each image in the bucket; None in a dry run.
        manifest_path: Path of the manifest; None in a dry run.
        tally: Counters ``uploaded``, ``present`` and ``failed``.
    """

    source: Source
    uploader: Uploader
    index: NameIndex
    manifest: ManifestWriter | None
    manifest_path: Path | None
    tally: Counter[str] = field(default_factory=Counter)

    def listing(self) -> Iterable[tuple[str, ObjectMeta]]:
        """List the bucket, for ``NameIndex.record_listing``."""
        return self.uploader.objects.list(self.source.rule.prefix)

    def run(self) -> Iterator[Outcome]:
        """Upload the images that the bucket does not contain yet; yield each outcome.

        Raises:
            BucketError: The bucket is unusable; reports how many images it contains.
        """
        try:
            for outcome in self.uploader.upload(self.source.items(), self.index):
                if outcome.state != "failed" and self.manifest is not None:
                    self.manifest.add(outcome.item.row, outcome.item.name)
                self.tally[outcome.state] += 1
                yield outcome
        except BucketError as error:
            done = self.tally["uploaded"] + self.tally["present"]
            raise BucketError(
                f"{error.message}; {done} of {len(self.index)} images are in the bucket",
                "; ".join(
                    filter(None, [error.hint, "then run the same command again to continue"])
                ),
            ) from error
