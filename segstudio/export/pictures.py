"""Images of an export: names, references and sizes, kept on disk."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import PurePosixPath
from typing import Any

from ml_backend.labelstudio.annotations import Picture
from segstudio.data.scratch_db import ScratchDatabase
from segstudio.export.mask_regions import Size
from segstudio.export.references import file_name, unsigned
from segstudio.export.rows import Entry


@dataclass(frozen=True)
class PictureFile:
    """An image of an export.

    Attributes:
        id: Number of the image, counted from 1 in the order of arrival.
        identifier: Identifier of the image, the same in all copies of a project.
        file_name: Path below a folder of images, unique.
        reference: Image reference from ``task.data``.
        size: Height and width in pixels, if known.
        metadata: Cells of the manifest's row, if there is one.
        task: ID of a task that shows it.
    """

    id: int
    identifier: str
    file_name: str
    reference: str
    size: Size | None
    metadata: dict[str, Any]
    task: int

    @property
    def address(self) -> str:
        """Reference without its signature; empty if it embeds the image."""
        return "" if self.reference[:5].lower() == "data:" else unsigned(self.reference)


class Pictures(ScratchDatabase):
    """All images by identifier."""

    schema = """
        CREATE TABLE pictures (
            id INTEGER PRIMARY KEY, identifier TEXT UNIQUE NOT NULL, file_name TEXT NOT NULL,
            reference TEXT NOT NULL, height INTEGER, width INTEGER, metadata TEXT NOT NULL,
            task INTEGER NOT NULL, folded TEXT UNIQUE NOT NULL
        )
    """

    def record(self, entry: Entry, picture: Picture, size: Size | None = None) -> PictureFile:
        """Record an image of an annotated task; return what is known about it.

        Args:
            entry: Annotation of the image.
            picture: Image to record.
            size: Height and width; the first one recorded counts.
        """
        identifier = "#".join(filter(None, [entry.identifier, picture.name]))
        if (found := self._find(identifier)) is None:
            name = self._free_name(file_name(entry.identifier, picture.reference, picture.name))
            self._database.execute(
                "INSERT INTO pictures (identifier, file_name, reference, metadata, task, folded) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *(identifier, name, picture.reference, _json(entry.metadata)),
                    *(entry.task.id, name.casefold()),
                ),
            )
            found = self._find(identifier)
        assert found is not None  # noqa: S101 - for mypy: it was just inserted
        return self.resize(found, size) if size and not found.size else found

    def resize(self, picture: PictureFile, size: Size) -> PictureFile:
        """Record the size of an image."""
        self._database.execute(
            "UPDATE pictures SET height = ?, width = ? WHERE id = ?", (*size, picture.id)
        )
        return self[picture.id]

    def __getitem__(self, id_: int) -> PictureFile:
        """Return an image by its number."""
        found = self._database.execute("SELECT * FROM pictures WHERE id = ?", (id_,))
        return _picture(found.fetchone())

    def __iter__(self) -> Iterator[PictureFile]:
        """Yield all images in the order of arrival."""
        return map(_picture, self._database.execute("SELECT * FROM pictures ORDER BY id"))

    def __len__(self) -> int:
        """Return the number of images."""
        return int(self._database.execute("SELECT count(*) FROM pictures").fetchone()[0])

    def _find(self, identifier: str) -> PictureFile | None:
        row = self._database.execute(
            "SELECT * FROM pictures WHERE identifier = ?", (identifier,)
        ).fetchone()
        return _picture(row) if row else None

    def _free_name(self, name: str) -> str:
        path = PurePosixPath(name)
        stem, suffix = name.removesuffix(path.suffix), path.suffix
        for candidate in chain((name,), (f"{stem}.{n}{suffix}" for n in count(2))):
            taken = self._database.execute(
                "SELECT 1 FROM pictures WHERE folded = ?", (candidate.casefold(),)
            ).fetchone()
            if not taken:
                break
        return candidate


def _picture(row: tuple[Any, ...]) -> PictureFile:
    id_, identifier, name, reference, height, width, metadata, task, _ = row
    size = None if height is None else (height, width)
    return PictureFile(id_, identifier, name, reference, size, json.loads(metadata), task)


def _json(metadata: Any) -> str:
    return json.dumps(dict(metadata or {}))
