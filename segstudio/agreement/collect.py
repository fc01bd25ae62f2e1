"""Read the annotations of projects into a store, by rater."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

from ml_backend.labelstudio.annotations import AnnotatedTask, AnnotationReader, LabeledProject
from segstudio.agreement.annotation_store import AnnotationStore
from segstudio.export.manifest_join import Manifest
from segstudio.export.mask_regions import draw


class Rater(StrEnum):
    """Who is compared: accounts, or copies of one project."""

    ANNOTATOR = "annotator"
    PROJECT = "project"


@dataclass(frozen=True)
class UnreadableRegion:
    """A region or answer that cannot be compared.

    Attributes:
        identifier: Identifier of the image.
        task: Task ID.
        annotation: Annotation ID.
        region: Region ID.
        reason: Why it cannot be compared.
    """

    identifier: str
    task: int
    annotation: int
    region: str
    reason: str


@dataclass(frozen=True)
class AnnotationCollector:
    """Reader of the annotations of projects into a store.

    Attributes:
        reader: Reader of annotations.
        projects: Projects to read.
        manifest: Manifest with the identifiers of images.
        store: Store that receives the annotations, without skipped ones.
        by: Meaning of a rater: account or project.
        with_boxes: Whether rectangles are masks even in projects with finer shapes.
        note_task: Called with the identifier of each task.
    """

    reader: AnnotationReader
    projects: Sequence[LabeledProject]
    manifest: Manifest
    store: AnnotationStore
    by: Rater
    with_boxes: bool
    note_task: Callable[[str, AnnotatedTask], None] = lambda _identifier, _task: None

    @property
    def tasks(self) -> int:
        """Number of tasks according to Label Studio."""
        return sum(project.counts.tasks for project in self.projects)

    def run(self) -> Iterator[Sequence[UnreadableRegion]]:
        """Store all annotations; yield what cannot be compared, task by task."""
        for project in self.projects:
            for task in self.reader.tasks(project):
                yield list(self._store_task(task))

    def _store_task(self, task: AnnotatedTask) -> Iterator[UnreadableRegion]:
        identifier, _ = self.manifest.find(task)
        self.note_task(identifier, task)
        for annotation in task.annotations:
            if annotation.skipped:
                continue
            copy = f"project {task.project.id}"
            rater = annotation.annotator if self.by is Rater.ANNOTATOR else copy
            drawings = draw(task, annotation, with_boxes=self.with_boxes)
            self.store.add(identifier, rater, task, annotation, drawings)
            problems = chain.from_iterable(drawing.problems for drawing in drawings)
            for region, reason in (*problems, *annotation.parsed.problems):
                yield UnreadableRegion(identifier, task.id, annotation.id, region, reason)
