"""Annotations of all raters, image by image."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ml_backend.labelstudio.annotations import AnnotatedTask, Annotation
from ml_backend.labelstudio.coco_rle import Rle
from segstudio.data.scratch_db import ScratchDatabase
from segstudio.export.mask_regions import Drawing


@dataclass(frozen=True)
class RaterAnnotation:
    """Annotation of an image by one rater.

    Attributes:
        rater: Name of the rater.
        answers: Chosen values by name of each choices control that the label config has.
        masks: Masks by label; None if the rater's project does not ask for masks.
    """

    rater: str
    answers: Mapping[str, Sequence[str]]
    masks: Mapping[str, Rle] | None


class AnnotationStore(ScratchDatabase):
    """Annotations on disk, returned image by image."""

    schema = """
        CREATE TABLE annotations (
            id INTEGER PRIMARY KEY, identifier TEXT NOT NULL, rater TEXT NOT NULL,
            updated_at TEXT NOT NULL, answers TEXT NOT NULL, asked_masks INTEGER NOT NULL,
            UNIQUE (identifier, rater)
        );
        CREATE TABLE masks (
            annotation INTEGER NOT NULL, label TEXT NOT NULL,
            height INTEGER NOT NULL, width INTEGER NOT NULL, counts TEXT NOT NULL
        );
        CREATE INDEX by_annotation ON masks (annotation);
        CREATE VIEW shared AS
            SELECT * FROM annotations WHERE identifier IN
                (SELECT identifier FROM annotations GROUP BY identifier HAVING count(*) > 1);
    """

    def add(
        self,
        identifier: str,
        rater: str,
        task: AnnotatedTask,
        annotation: Annotation,
        drawings: Sequence[Drawing],
    ) -> None:
        """Store an annotation, replacing an older one by the same rater on the same image.

        If a task has several images, the additional ones have masks and no answers.
        """
        asks_masks, updated_at = _asks_masks(task), annotation.updated_at.isoformat()
        answers = _choices(task, annotation)
        masks = _by_label(drawings[0]) if drawings else {}
        self._replace(identifier, rater, updated_at, answers, masks, asks_masks)
        for other in drawings[1:]:
            image = f"{identifier}#{other.picture.name}"
            self._replace(image, rater, updated_at, {}, _by_label(other), asks_masks)

    def _replace(
        self,
        identifier: str,
        rater: str,
        updated_at: str,
        answers: Mapping[str, Sequence[str]],
        masks: Mapping[str, Rle],
        asks_masks: bool,
    ) -> None:
        same = (identifier, rater)
        before = self._database.execute(
            "SELECT id, updated_at FROM annotations WHERE (identifier, rater) = (?, ?)", same
        ).fetchone()
        if before and before[1] > updated_at:
            return
        if before:
            self._database.execute("DELETE FROM masks WHERE annotation = ?", before[:1])
            self._database.execute("DELETE FROM annotations WHERE id = ?", before[:1])
        id_ = self._database.execute(
            "INSERT INTO annotations (identifier, rater, updated_at, answers, asked_masks) "
            "VALUES (?, ?, ?, ?, ?) RETURNING id",
            (*same, updated_at, json.dumps(answers), asks_masks),
        ).fetchone()[0]
        self._database.executemany(
            "INSERT INTO masks VALUES (?, ?, ?, ?, ?)",
            ((id_, label, rle.height, rle.width, rle.counts) for label, rle in masks.items()),
        )

    def __len__(self) -> int:
        """Return the number of images with annotations of two or more raters."""
        found = self._database.execute("SELECT count(DISTINCT identifier) FROM shared")
        return int(found.fetchone()[0])

    def raters(self) -> list[str]:
        """Return the names of all raters, sorted."""
        found = self._database.execute("SELECT DISTINCT rater FROM annotations ORDER BY rater")
        return [rater for (rater,) in found]

    def images(self) -> Iterator[tuple[str, list[RaterAnnotation]]]:
        """Yield the images with annotations of two or more raters, with all their annotations."""
        found = self._database.execute(
            "SELECT identifier, id, rater, answers, asked_masks FROM shared "
            "ORDER BY identifier, rater"
        )
        for identifier, rows in groupby(found, key=lambda row: str(row[0])):
            yield identifier, [self._rater_annotation(*row[1:]) for row in rows]

    def of(self, identifier: str) -> list[RaterAnnotation]:
        """Return all annotations of an image."""
        found = self._database.execute(
            "SELECT id, rater, answers, asked_masks FROM annotations WHERE identifier = ? "
            "ORDER BY rater",
            (identifier,),
        )
        return [self._rater_annotation(*row) for row in found.fetchall()]

    def answers(self, control: str) -> Iterator[tuple[str, str, list[str]]]:
        """Yield identifier, rater and choices of all answers to a control, on the same images."""
        found = self._database.execute(
            "SELECT identifier, rater, answers FROM shared ORDER BY identifier, rater"
        )
        for identifier, rater, text in found:
            given = json.loads(text)
            if control in given:
                yield identifier, rater, given[control]

    def _rater_annotation(
        self, id_: int, rater: str, answers: str, asked_masks: int
    ) -> RaterAnnotation:
        masks = self._database.execute(
            "SELECT label, height, width, counts FROM masks WHERE annotation = ?", (id_,)
        )
        by_label = {label: Rle(height, width, counts) for label, height, width, counts in masks}
        return RaterAnnotation(rater, json.loads(answers), by_label if asked_masks else None)


def _choices(task: AnnotatedTask, annotation: Annotation) -> dict[str, list[str]]:
    """Return the chosen values; none is an answer only if several may be chosen."""
    answers = annotation.parsed.answers
    return {
        control.name: [str(value) for value in answers.get(control.name, [])]
        for control in task.project.controls
        if control.type == "choices" and (control.multiple or answers.get(control.name))
    }


def _asks_masks(task: AnnotatedTask) -> bool:
    return any(
        control.type.removesuffix("labels") in ("brush", "polygon", "ellipse", "rectangle", "")
        for control in task.project.controls
    )


def _by_label(drawing: Drawing) -> dict[str, Rle]:
    """Return the union of the masks of each label."""
    parts: dict[str, list[Rle]] = {}
    for mask in drawing.masks:
        for name in mask.region.names:
            parts.setdefault(name, []).append(mask.rle)
    return {label: Rle.union(rles) for label, rles in parts.items()}
