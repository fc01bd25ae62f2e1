"""Consensus on the images with two or more annotations."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_backend.labelstudio.annotations import AnnotatedTask, LabeledProject, Picture
from ml_backend.labelstudio.coco_rle import Rle
from segstudio.agreement.annotation_store import AnnotationStore, RaterAnnotation
from segstudio.agreement.compare import Comparison
from segstudio.consensus.merge import (
    MERGE,
    Masks,
    Method,
    disagreement_map,
    merge_choices,
)
from segstudio.data.scratch_db import ScratchDatabase


@dataclass(frozen=True)
class MergedPicture:
    """Consensus on one image of a task.

    Attributes:
        picture: Image of the task.
        masks: Non-empty masks by label.
        disputed: (H, W) uint8, 255 at the highest disagreement; None without any region.
    """

    picture: Picture
    masks: Mapping[str, Rle]
    disputed: npt.NDArray[np.uint8] | None = field(repr=False)


@dataclass(frozen=True)
class Consensus:
    """Consensus on one task.

    Attributes:
        identifier: Identifier of the image.
        data: Data of the task.
        meta: Metadata of the task.
        disagreement: Disagreement 0..1, as ``segstudio agreement`` measures it.
        worst: Label or control with the highest disagreement; empty without any.
        annotators: Number of annotators.
        pictures: Consensus on each image of the task.
        answers: Choices by control name.
    """

    identifier: str
    data: Mapping[str, Any]
    meta: Mapping[str, Any]
    disagreement: float
    worst: str
    annotators: int
    pictures: Sequence[MergedPicture]
    answers: Mapping[str, Sequence[str]]

    @property
    def digest(self) -> str:
        """Digest of the consensus, which changes if annotations do."""
        masks = [
            (each.picture.tag, each.picture.item, label, rle.counts)
            for each in self.pictures
            for label, rle in sorted(each.masks.items())
        ]
        answers = sorted((name, list(chosen)) for name, chosen in self.answers.items())
        whole = json.dumps([masks, answers, round(self.disagreement, 6)])
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


class TaskIndex(ScratchDatabase):
    """Data and images of tasks by identifier; the first of several copies counts."""

    schema = """
        CREATE TABLE tasks (
            identifier TEXT PRIMARY KEY, data TEXT NOT NULL, meta TEXT NOT NULL, pictures TEXT
        ) WITHOUT ROWID
    """

    def add(self, identifier: str, task: AnnotatedTask) -> None:
        """Record a task."""
        pictures = [[p.tag, p.item, p.reference, p.name] for p in task.pictures]
        row = (identifier, *map(json.dumps, (dict(task.data), dict(task.meta), pictures)))
        self._database.execute("INSERT OR IGNORE INTO tasks VALUES (?, ?, ?, ?)", row)

    def __iter__(self) -> Iterator[str]:
        """Yield all identifiers."""
        found = self._database.execute("SELECT identifier FROM tasks ORDER BY identifier")
        return (identifier for (identifier,) in found)

    def find(self, identifier: str) -> tuple[dict[str, Any], dict[str, Any], list[Picture]]:
        """Return data, meta and images of a task."""
        data, meta, pictures = self._database.execute(
            "SELECT data, meta, pictures FROM tasks WHERE identifier = ?", (identifier,)
        ).fetchone()
        return json.loads(data), json.loads(meta), [Picture(*p) for p in json.loads(pictures)]


class Scores(ScratchDatabase):
    """Disagreement score by image."""

    schema = "CREATE TABLE scores (identifier TEXT PRIMARY KEY, score REAL, worst TEXT)"

    def __init__(self, comparison: Comparison) -> None:
        super().__init__()
        self._database.executemany(
            "INSERT INTO scores VALUES (?, ?, ?)",
            ((each.identifier, each.score, each.worst) for each in comparison.images()),
        )

    def worst(self, identifiers: Sequence[str]) -> tuple[float, str]:
        """Return the highest disagreement on some images, and its subject; 0 if none was scored."""
        rows = [
            self._database.execute(
                "SELECT score, worst FROM scores WHERE identifier = ?", (each,)
            ).fetchone()
            for each in identifiers
        ]
        return max((row for row in rows if row), default=(0.0, ""))


@dataclass(frozen=True)
class Merger:
    """Merges the annotations of images.

    Attributes:
        store: Store with all annotations.
        tasks: Tasks of the same identifiers.
        scores: Disagreement by image.
        method: How to merge masks.
        projects: Projects whose controls are merged.
    """

    store: AnnotationStore
    tasks: TaskIndex
    scores: Scores
    method: Method
    projects: Sequence[LabeledProject]

    def identifiers(self) -> list[str]:
        """Return the images with two or more annotations, the most disputed first."""
        shared = [name for name in self.tasks if len(self.store.of(name)) > 1]
        return sorted(shared, key=lambda name: (-self._disagreement(name)[0], name))

    def merge(self, identifier: str) -> Consensus:
        """Return the consensus on an image with two or more annotations."""
        data, meta, pictures = self.tasks.find(identifier)
        annotations = self.store.of(identifier)
        disagreement, worst = self._disagreement(identifier)
        merged = [
            self._merge_picture(picture, self.store.of(_name(identifier, picture)))
            for picture in pictures
        ]
        answers = self._merge_answers(annotations)
        return Consensus(
            identifier, data, meta, disagreement, worst, len(annotations), merged, answers
        )

    def _disagreement(self, identifier: str) -> tuple[float, str]:
        _, _, pictures = self.tasks.find(identifier)
        return self.scores.worst([identifier, *(_name(identifier, each) for each in pictures)])

    def _merge_picture(
        self, picture: Picture, annotations: Sequence[RaterAnnotation]
    ) -> MergedPicture:
        drawn = [each.masks for each in annotations if each.masks is not None]
        sizes = {(rle.height, rle.width) for masks in drawn for rle in masks.values()}
        if len(sizes) != 1:
            return MergedPicture(picture, {}, None)
        ((height, width),) = sizes
        stacks = {
            label: _stack([masks.get(label) for masks in drawn], height, width)
            for label in sorted({label for masks in drawn for label in masks})
        }
        merged = {label: MERGE[self.method](stack) for label, stack in stacks.items()}
        disputed = disagreement_map(list(stacks.values()), height, width)
        masks = {label: Rle.of_mask(mask) for label, mask in merged.items() if mask.any()}
        return MergedPicture(picture, masks, disputed)

    def _merge_answers(self, annotations: Sequence[RaterAnnotation]) -> dict[str, list[str]]:
        controls = {c.name: c for p in self.projects for c in p.controls if c.type == "choices"}
        merged = {
            name: merge_choices(
                [each.answers[name] for each in annotations if name in each.answers],
                multiple=control.multiple,
            )
            for name, control in controls.items()
        }
        return {name: chosen for name, chosen in merged.items() if chosen}


def _name(identifier: str, picture: Picture) -> str:
    return "#".join(filter(None, [identifier, picture.name]))


def _stack(rles: Sequence[Rle | None], height: int, width: int) -> Masks:
    empty = np.zeros((height, width), bool)
    return np.stack([empty if rle is None else rle.mask for rle in rles])
