"""Read the annotations of a project as examples, with masks cached on disk.

A run reads only annotations that changed since the last one, and holds one mask in memory.
"""

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from ml_backend.errors import ImageDecodeError, TaskError
from ml_backend.images import ImageSource, TaskAccess
from ml_backend.labelstudio.annotations import AnnotatedTask, AnnotationReader, LabeledProject
from ml_backend.labelstudio.label_config import LabelConfig, refuse
from ml_backend.labelstudio.responses import Project
from ml_backend.labelstudio.results import Shape, mask_shapes
from ml_backend.labelstudio.task_images import TaskImage, task_images
from segmentation_backend.learning.example import (
    IGNORE,
    MOST_LABELS,
    Example,
    Indices,
    LearningSet,
    Pixels,
    Progress,
)
from segmentation_backend.learning.masks import UNLABELLED, MaskRule, TaskMask, unite
from segmentation_backend.learning.store import listing, read_json, write_json, writing

Login = tuple[str, str] | None
Unlabelled = Literal["background", "ignore"]

_AT_ONCE = 20
"""Number of tasks whose annotations are in memory."""


@dataclass(frozen=True)
class ExampleReader:
    """Reader of a project's annotations.

    Attributes:
        reader: Reader of annotations from the Label Studio instance.
        images: Source of the images.
        folder: Folder for the masks.
        unlabelled: Meaning of pixels outside all regions of a submitted task.
    """

    reader: AnnotationReader
    images: ImageSource
    folder: Path
    unlabelled: Unlabelled = "background"

    def read(
        self, project: Project, config: LabelConfig, progress: Progress
    ) -> tuple[LearningSet, str]:
        """Read all submitted annotations.

        Returns:
            Examples, and a digest that changes with them.

        Raises:
            LabelStudioError: Label Studio does not respond.
            LabelConfigError: The project has no control that takes masks.
            LearnedStoreError: The folder cannot be written.
        """
        refuse(config.problems_for_masks())
        shapes = [(name, sorted(_shapes(config, name))) for name in config.mask_images()]
        labeled = self.reader.project(project.id)
        wanted = {
            task: repr((signature, shapes)) for task, signature in self.reader.signatures(labeled)
        }
        kept = self._kept(wanted)
        self._remove_others(kept)
        new = [task for task in wanted if task not in kept]
        signatures = {task: wanted[task] for task in new}
        fetched = self._fetch(labeled, signatures, config, project.login, progress)
        kept |= dict(fetched)
        entries = [kept[task] for task in sorted(kept)]
        labels = _labels(config, entries)
        names = ("background", *labels)
        _report_dropped_labels(entries, names, progress)
        examples = [
            self._example(each, names, project) for entry in entries for each in entry["images"]
        ]
        return LearningSet(names, examples, labels), self._digest(entries, labels)

    def _digest(self, entries: Sequence[Mapping[str, Any]], *more: object) -> str:
        said = [self.unlabelled, *more, *(each["signature"] for each in entries)]
        return hashlib.sha256(repr(said).encode()).hexdigest()

    def _kept(self, wanted: Mapping[int, str]) -> dict[int, dict[str, Any]]:
        found = ((task, read_json(self._path(task))) for task in wanted)
        return {task: each for task, each in found if each.get("signature") == wanted[task]}

    def _remove_others(self, kept: Mapping[int, object]) -> None:
        with writing(self.folder):
            for name in listing(self.folder):
                stem = name.partition(".")[0].partition("-")[0]
                if not stem.isdecimal() or int(stem) not in kept:
                    (self.folder / name).unlink(missing_ok=True)

    def _fetch(
        self,
        project: LabeledProject,
        signatures: Mapping[int, str],
        config: LabelConfig,
        login: Login,
        progress: Progress,
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Read tasks, write their masks, and yield their entries."""
        done = 0
        for some in _portions(signatures, _AT_ONCE):
            for task in self.reader.some_tasks(project, some):
                access = TaskAccess(task.id, project.id, login)
                entry = self._make_entry(task, config, access, progress)
                if entry is not None:
                    entry["signature"] = signatures[task.id]
                    write_json(self._path(task.id), entry)
                    yield task.id, entry
            done += len(some)
            progress.step("reading annotations", done, len(signatures))

    def _make_entry(
        self, task: AnnotatedTask, config: LabelConfig, access: TaskAccess, progress: Progress
    ) -> dict[str, Any] | None:
        """Write the masks of a task's images; None if an image cannot be fetched."""
        images: list[dict[str, Any]] = []
        problems: list[str] = []
        try:
            for image in _images(task, config):
                rule = MaskRule(image.to_name, image.item or 0, _shapes(config, image.to_name))
                mask, found = unite(task, rule)
                problems += [each for each in found if each not in problems]
                if mask is not None:
                    name = f"{task.id}-{len(images)}.png"
                    images.append(self._write_image(name, image.reference, mask, access))
        except TaskError as error:
            progress.drop(f"task {task.id}", str(error))
            return None
        for problem in problems:
            progress.drop(f"task {task.id}", problem)
        return {"images": images}

    def _write_image(
        self, name: str, reference: str, mask: TaskMask, access: TaskAccess
    ) -> dict[str, Any]:
        """Write a mask and return its entry; raises TaskError if the image is missing."""
        digest = self.images.open(reference, access=access).digest
        if mask.indices is not None:
            self._write_mask(name, mask.indices)
        return {
            "mask": name if mask.indices is not None else None,
            "task": access.task,
            "reference": reference,
            "digest": digest,
            "labels": mask.labels,
            "annotators": mask.annotators,
        }

    def _example(self, entry: Mapping[str, Any], names: Sequence[str], project: Project) -> Example:
        table = np.full(256, IGNORE, np.uint8)
        table[UNLABELLED] = 0 if self.unlabelled == "background" else IGNORE
        for position, label in enumerate(entry["labels"], start=1):
            table[position] = names.index(label) if label in names[1:] else IGNORE
        return Example(
            identity=entry["digest"],
            annotators=tuple(entry["annotators"]),
            labels=tuple(label for label in entry["labels"] if label in names[1:]),
            load=partial(
                self._load, entry, table, TaskAccess(entry["task"], project.id, project.login)
            ),
        )

    def _load(
        self, entry: Mapping[str, Any], table: Indices, access: TaskAccess
    ) -> tuple[Pixels, Indices]:
        """Load an image and its mask; raises TaskError like ``Example.load``."""
        pixels = self.images.load(entry["reference"], access=access).pixels
        if entry["mask"] is None:
            return pixels, np.full(pixels.shape[:2], table[UNLABELLED], np.uint8)
        indices = cv2.imread(str(self.folder / entry["mask"]), cv2.IMREAD_GRAYSCALE)
        if indices is None:
            raise ImageDecodeError(f"the mask {entry['mask']} is damaged", f"delete {self.folder}")
        if indices.shape != pixels.shape[:2]:
            sizes = [f"{width} x {height}" for height, width in (indices.shape, pixels.shape[:2])]
            raise ImageDecodeError(f"{entry['mask']}: a mask of {sizes[0]} on {sizes[1]}")
        return pixels, table[indices]

    def _write_mask(self, name: str, indices: Indices) -> None:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f".{uuid.uuid4().hex}.part"
            part.write_bytes(cv2.imencode(".png", indices)[1].tobytes())
            part.replace(self.folder / name)

    def _path(self, task: int) -> Path:
        return self.folder / f"{task}.json"


def _images(task: AnnotatedTask, config: LabelConfig) -> list[TaskImage]:
    """Return the images of a task that masks can be drawn on; raises TaskError without any."""
    names = config.mask_images()
    return [image for name in names for image in task_images(task.data, config, name)]


def _shapes(config: LabelConfig, image: str) -> frozenset[Shape]:
    """Return the shapes that are masks on an image."""
    controls = [control for control in config.controls if control.to_name == image]
    return mask_shapes(controls, with_boxes=False)


def _labels(
    config: LabelConfig, entries: Iterable[Mapping[str, Any]]
) -> dict[str, tuple[str, ...]]:
    """Return each label and its predicted values.

    Where tasks provide labels, those that were drawn join those of the label config.
    """
    labels = {
        each.value: each.predicted_values
        for name in config.mask_images()
        for each in config.mask_labels(name)
    }
    if config.has_dynamic_labels:
        images = (image for entry in entries for image in entry["images"])
        drawn = Counter(label for image in images for label in image["labels"])
        found = sorted(label for label, _ in drawn.most_common(MOST_LABELS - len(labels)))
        labels = {**dict.fromkeys(found, ()), **labels}
    return labels


def _report_dropped_labels(
    entries: Iterable[Mapping[str, Any]], names: Sequence[str], progress: Progress
) -> None:
    """Report each label that was drawn but is no longer in the label config."""
    dropped: dict[str, int] = {}
    for entry in entries:
        for label in {label for image in entry["images"] for label in image["labels"]}:
            if label not in names[1:]:
                dropped[label] = dropped.get(label, 0) + 1
    for label, count in dropped.items():
        reason = f"no longer in the label config; left out of {count} tasks"
        progress.drop(f"label {json.dumps(label, ensure_ascii=False)}", reason)


def _portions(items: Iterable[int], size: int) -> Iterator[list[int]]:
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some
