"""Facts of a report, read from projects: times of all annotations, suggestions of a sample."""

import random
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import chain
from typing import TypeAlias

from ml_backend.labelstudio.annotations import (
    AnnotatedTask,
    Annotation,
    AnnotationReader,
    LabeledProject,
)
from ml_backend.labelstudio.control_tasks import is_control
from segstudio.export.manifest_join import Manifest
from segstudio.export.mask_regions import Drawing, draw
from segstudio.report.suggestions import Fate, compare_regions, label_ious

Seconds: TypeAlias = "array[float]"

_PORTION = 25


@dataclass
class Progress:
    """Progress of a project.

    project: Project.
        project: Project.
        labeled: Number of tasks with an annotation that is not skipped.
        skipped: Number of other tasks with an annotation.
        control: Number of tasks without suggestions.
        seconds: Seconds of each annotation of the other tasks.
        control_seconds: Seconds of each annotation of tasks without suggestions.
    """

    project: LabeledProject
    labeled: int = 0
    skipped: int = 0
    control: int = 0
    seconds: Seconds = field(default_factory=lambda: array("d"))
    control_seconds: Seconds = field(default_factory=lambda: array("d"))


@dataclass
class Labeler:
    """Work of one annotator.

    Attributes:
        seconds: Seconds of each annotation, without skipped ones.
        skipped: Number of skipped tasks.
        regions: Number of regions in the sample.
        region_seconds: Seconds of the annotations in the sample that contain these regions.
    """

    seconds: Seconds = field(default_factory=lambda: array("d"))
    skipped: int = 0
    regions: int = 0
    region_seconds: float = 0


@dataclass
class Suggestions:
    """Outcome of the suggestions of a label, or of a model version.

    Attributes:
        fates: Number of regions by outcome.
        iou: Sum of IoUs over images and labels.
        images: Number of terms in ``iou``.
    """

    fates: Counter[Fate] = field(default_factory=Counter)
    iou: float = 0
    images: int = 0

    @property
    def mean_iou(self) -> float | None:
        """Mean IoU of suggestion and submission; None without any."""
        return self.iou / self.images if self.images else None

    @property
    def suggested(self) -> int:
        """Number of suggested regions."""
        return sum(self.fates.values()) - self.fates["added"]


@dataclass(frozen=True)
class ChangedImage:
    """An image with its suggestion and its submission.

    Attributes:
        change: Amount of change: 1 - mean IoU over all labels.
        identifier: Identifier of the image.
        task: Task ID.
        annotator: E-mail address of the annotator.
        before: Regions of the suggestion.
        after: Regions of the submission.
    """

    change: float
    identifier: str
    task: int
    annotator: str
    before: Drawing
    after: Drawing


@dataclass(frozen=True)
class UnreadableRegion:
    """A region that the report ignores, and the reason."""

    identifier: str
    task: int
    region: str
    reason: str


@dataclass
class Facts:
    """Contents of a report.

    Attributes:
        projects: Progress by project ID.
        labelers: Work by e-mail address.
        sampled: Number of annotations that were compared with their suggestion.
        labels: Suggestions by label.
        versions: Suggestions by model version, in the order they were first used.
        label_seconds: Seconds by label; the regions of an annotation share its time equally.
        label_regions: Number of regions by label, in those annotations.
        changed: Images with the most change, in that order.
    """

    projects: dict[int, Progress] = field(default_factory=dict)
    labelers: dict[str, Labeler] = field(default_factory=lambda: defaultdict(Labeler))
    sampled: int = 0
    labels: dict[str, Suggestions] = field(default_factory=lambda: defaultdict(Suggestions))
    versions: dict[str, Suggestions] = field(default_factory=lambda: defaultdict(Suggestions))
    label_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    label_regions: Counter[str] = field(default_factory=Counter)
    changed: list[ChangedImage] = field(default_factory=list)

    @property
    def suggested(self) -> Seconds:
        """Seconds of annotations with suggestions, in projects that also have tasks without."""
        return _joined(p.seconds for p in self.projects.values() if p.control)

    @property
    def control(self) -> Seconds:
        """Seconds of annotations without suggestions."""
        return _joined(p.control_seconds for p in self.projects.values())

    @property
    def total(self) -> Suggestions:
        """Suggestions of all labels together."""
        whole = Suggestions()
        for each in self.versions.values():
            whole.fates.update(each.fates)
            whole.iou += each.iou
            whole.images += each.images
        return whole


@dataclass(frozen=True)
class FactsReader:
    """Reader of facts: ``survey`` all tasks, then ``compare`` a sample of them.

    Attributes:
        reader: Reader of annotations.
        projects: Projects to read.
        manifest: Manifest with the identifiers of images.
        size: Maximum number of tasks in the sample.
        pictures: Maximum number of ``changed`` images.
        facts: Facts read so far.
    """

    reader: AnnotationReader
    projects: Sequence[LabeledProject]
    manifest: Manifest
    size: int
    pictures: int
    facts: Facts = field(default_factory=Facts)
    _sample: list[tuple[LabeledProject, int]] = field(default_factory=list)

    def survey(self) -> Iterator[None]:
        """Count all tasks and times, and draw the sample; yield after each task."""
        chance, seen = random.Random(1), 0  # noqa: S311 - a sample, not a secret
        for project in self.projects:
            progress = self.facts.projects[project.id] = Progress(project)
            for task in self.reader.tasks(project, results=False):
                if self._count(progress, task):
                    seen += 1
                    # Vitter, Random Sampling with a Reservoir, 1985: algorithm R.
                    if len(self._sample) < self.size:
                        self._sample.append((project, task.id))
                    elif (place := chance.randrange(seen)) < self.size:
                        self._sample[place] = (project, task.id)
                yield

    @property
    def sample_size(self) -> int:
        """Number of tasks in the sample."""
        return len(self._sample)

    def compare(self) -> Iterator[list[UnreadableRegion]]:
        """Compare suggestions with submissions; yield the unreadable regions of each task."""
        for project in self.projects:
            ids = sorted(id_ for of, id_ in self._sample if of is project)
            for portion in _portions(ids):
                for task in self.reader.tasks_with_predictions(project, portion):
                    yield list(self._compare(task))

    def _count(self, progress: Progress, task: AnnotatedTask) -> bool:
        """Count a task; return whether it is labeled."""
        control = is_control(task.meta)
        progress.control += control
        labeled = False
        for annotation in task.annotations:
            labeler = self.facts.labelers[annotation.annotator]
            if annotation.skipped:
                labeler.skipped += 1
                continue
            labeled = True
            if annotation.lead_time is not None:
                labeler.seconds.append(annotation.lead_time)
                times = progress.control_seconds if control else progress.seconds
                times.append(annotation.lead_time)
        progress.labeled += labeled
        progress.skipped += bool(task.annotations) and not labeled
        return labeled

    def _compare(self, task: AnnotatedTask) -> Iterator[UnreadableRegion]:
        identifier, _ = self.manifest.find(task)
        for annotation in task.annotations:
            if annotation.skipped:
                continue
            drawings = draw(task, annotation, with_boxes=False)
            for region, reason in chain.from_iterable(each.problems for each in drawings):
                yield UnreadableRegion(identifier, task.id, region, reason)
            self._add_region_times(annotation, drawings)
            prediction = suggestion_of(task, annotation)
            if prediction is None or is_control(task.meta):
                continue
            self.facts.sampled += 1
            suggested = draw(task, prediction, with_boxes=False)
            for before, after in zip(suggested, drawings, strict=True):
                if before.masks and after.masks and before.size != after.size:
                    continue
                image = "#".join(filter(None, [identifier, before.picture.name]))
                self._add_suggestion(prediction.annotator, before, after)
                self._add_changed(image, task.id, annotation.annotator, before, after)

    def _add_region_times(self, annotation: Annotation, drawings: Sequence[Drawing]) -> None:
        masks = [mask for drawing in drawings for mask in drawing.masks]
        if masks and annotation.lead_time is not None:
            labeler = self.facts.labelers[annotation.annotator]
            labeler.regions += len(masks)
            labeler.region_seconds += annotation.lead_time
            for mask in masks:
                self.facts.label_regions[mask.region.names[0]] += 1
                self.facts.label_seconds[mask.region.names[0]] += annotation.lead_time / len(masks)

    def _add_suggestion(self, version: str, before: Drawing, after: Drawing) -> None:
        of_version = self.facts.versions[version]
        for region in compare_regions(before.masks, after.masks):
            self.facts.labels[region.label].fates[region.fate] += 1
            of_version.fates[region.fate] += 1
        for label, iou in label_ious(before.masks, after.masks).items():
            for each in (self.facts.labels[label], of_version):
                each.iou += iou
                each.images += 1

    def _add_changed(
        self, identifier: str, task: int, annotator: str, before: Drawing, after: Drawing
    ) -> None:
        ious = label_ious(before.masks, after.masks)
        change = 1 - sum(ious.values()) / len(ious) if ious else 0.0
        if change:
            found = ChangedImage(change, identifier, task, annotator, before, after)
            self.facts.changed[:] = nlargest(
                self.pictures, [*self.facts.changed, found], key=lambda each: each.change
            )


def suggestion_of(task: AnnotatedTask, annotation: Annotation) -> Annotation | None:
    """Return the prediction that an annotation began with, else the last one before it."""
    for prediction in task.predictions:
        if prediction.id == annotation.parent_prediction:
            return prediction
    earlier = [each for each in task.predictions if each.created_at <= annotation.created_at]
    return earlier[-1] if earlier else None


def _joined(parts: Iterable[Seconds]) -> Seconds:
    return array("d", chain.from_iterable(parts))


def _portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[first : first + _PORTION] for first in range(0, len(ids), _PORTION))


def rates(labelers: Mapping[str, Labeler]) -> dict[str, tuple[float | None, float | None]]:
    """Return images per hour of labeling and seconds per region, by annotator."""
    return {
        name: (
            3600 * len(each.seconds) / sum(each.seconds) if sum(each.seconds) else None,
            each.region_seconds / each.regions if each.regions else None,
        )
        for name, each in sorted(labelers.items())
    }
