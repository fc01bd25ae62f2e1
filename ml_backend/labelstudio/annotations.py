"""Read the annotations of projects page by page, with at most one page of tasks in memory."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.label_config import Control, ImageTag, parse_label_config
from ml_backend.labelstudio.media_tags import media_tags
from ml_backend.labelstudio.queries import TaskFilter
from ml_backend.labelstudio.results import ParsedResult, Region, Result, parse_result
from ml_backend.labelstudio.task_images import references

DELETED_USER = "deleted user"

_PAGE = 50
_PAGE_WITHOUT_RESULTS = 1000
_FIELDS = (
    *("id", "data", "meta", "annotations"),
    # Label Studio derives these from the annotations; without them each would be its ID only.
    *("result", "completed_by", "was_cancelled", "created_at", "updated_at", "lead_time"),
)
_OF_PREDICTIONS = ("predictions", "model_version", "parent_prediction")


@dataclass(frozen=True)
class Counts:
    """Numbers of tasks, annotations and skipped annotations."""

    tasks: int = 0
    annotations: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class LabeledProject:
    """A project and its parsed label config.

    Attributes:
        id: Project ID.
        title: Project title.
        controls: Controls in document order.
        images: Image tags; first the one that controls label first.
        media: Tags of video and audio.
        counts: Counts that Label Studio reports.
    """

    id: int
    title: str
    controls: tuple[Control, ...]
    images: tuple[ImageTag, ...]
    media: tuple[ImageTag, ...]
    counts: Counts


@dataclass(frozen=True)
class Annotation:
    """One annotator's annotation of a task.

    Attributes:
        id: Annotation ID.
        annotator: E-mail address of the annotator.
        skipped: Whether the annotator skipped the task; the result may still contain something.
        created_at: Time of creation, with time zone.
        updated_at: Time of the last change, with time zone.
        lead_time: Seconds spent on the annotation, if known.
        result: Result as Label Studio stores it.
        parent_prediction: ID of the prediction that the annotation began with, if requested.
    """

    id: int
    annotator: str
    skipped: bool
    created_at: datetime
    updated_at: datetime
    lead_time: float | None
    result: tuple[Result, ...] = field(repr=False)
    parent_prediction: int | None = None

    @cached_property
    def parsed(self) -> ParsedResult:
        """The parsed result."""
        return parse_result(self.result)


@dataclass(frozen=True)
class Picture:
    """One image of a task.

    Attributes:
        tag: Name of the image tag that shows it; ``to_name`` of the regions on it.
        item: Page of the tag, counted from 0; ``item_index`` of the regions on it.
        reference: Image reference from ``task.data``; may be empty.
        name: Suffix that makes the task's identifier unique to this image; empty for the first
            image's first page.
    """

    tag: str
    item: int
    reference: str
    name: str


@dataclass(frozen=True)
class AnnotatedTask:
    """A task and all its annotations, oldest first; there may be none.

    ``predictions`` are filled only if requested; each is an annotation by its model.
    """

    id: int
    project: LabeledProject
    data: Mapping[str, Any]
    meta: Mapping[str, Any]
    annotations: tuple[Annotation, ...]
    predictions: tuple[Annotation, ...] = ()

    @property
    def image(self) -> str:
        """Reference of the first image, else of the video or sound; empty without any."""
        tags = (*self.project.images, *self.project.media)
        return next((references(self.data, tag)[0] for tag in tags), "")

    @cached_property
    def pictures(self) -> tuple[Picture, ...]:
        """All images of the task: the pages of each image tag, at least one."""
        return tuple(
            Picture(tag.name, item, reference, _picture_name("" if not number else tag.name, item))
            for number, tag in enumerate(self.project.images)
            for item, reference in enumerate(references(self.data, tag))
        )


class AnnotationReader:
    """Reader of projects; every method may raise LabelStudioError.

    Args:
        label_studio: Client for the Label Studio instance.
    """

    def __init__(self, label_studio: LabelStudio) -> None:
        self._label_studio = label_studio
        self._annotators: dict[int, str] = {}

    def project(self, id_: int) -> LabeledProject:
        """Return a project with its current counts."""
        project = self._label_studio.project(id_)
        counts = Counts(project.tasks, project.annotations, project.skipped)
        config = parse_label_config(project.label_config, require_image=False)
        labeled = (c.to_name for c in config.controls if c.to_name in config.images)
        names = dict.fromkeys([*labeled, *config.images])
        images = tuple(config.images[name] for name in names)
        media = media_tags(project.label_config)
        return LabeledProject(id_, project.title, config.controls, images, media, counts)

    def tasks(self, project: LabeledProject, *, results: bool = True) -> Iterator[AnnotatedTask]:
        """Yield all tasks of a project ordered by ID, once each.

        Args:
            project: Project to read.
            results: Whether to read the annotations' results; without them, reading is fast.

        Raises:
            LabelStudioError: A request fails, or the number of tasks differs from Label Studio's.
        """
        seen: Counter[str] = Counter()
        fields = [field for field in _FIELDS if results or field != "result"]
        size = _PAGE if results else _PAGE_WITHOUT_RESULTS
        for each in self._label_studio.tasks(project.id, ",".join(fields), size):
            task = self._parse_task(project, each)
            seen["tasks"] += 1
            seen["skipped"] += sum(one.skipped for one in task.annotations)
            seen["annotations"] += sum(not one.skipped for one in task.annotations)
            yield task
        self._check_counts(project, Counts(**seen))

    def tasks_with_predictions(
        self, project: LabeledProject, ids: Sequence[int]
    ) -> Iterator[AnnotatedTask]:
        """Yield tasks with their annotations and predictions, except those deleted since.

        Args:
            project: Project to read.
            ids: Task IDs, few enough for one call.
        """
        which, fields = TaskFilter("id", "in_list", ids), ",".join((*_FIELDS, *_OF_PREDICTIONS))
        for each in self._label_studio.find_tasks(project.id, which, fields, len(ids)):
            predictions = sorted(each.get("predictions") or (), key=lambda one: int(one["id"]))
            parsed = tuple(_parse_prediction(one) for one in predictions)
            yield replace(self._parse_task(project, each), predictions=parsed)

    def predicted_regions(self, task: AnnotatedTask) -> list[Region]:
        """Return the regions of all predictions of a task."""
        found = self._label_studio.call("GET", "/api/predictions", params={"task": task.id})
        return [r for each in found for r in parse_result(each.get("result") or ()).regions]

    def signatures(self, project: LabeledProject) -> Iterator[tuple[int, str]]:
        """Yield the ID of each annotated task, and text that changes with its annotations or image.

        Masks are not read, so a project with thousands of annotations takes a few short pages.
        """
        fields = "id,data,annotations,updated_at,was_cancelled"
        annotated = TaskFilter("total_annotations", "greater", 0)
        for task in self._label_studio.tasks(project.id, fields, where=[annotated]):
            found = [
                (int(each["id"]), each["updated_at"], each["was_cancelled"])
                for each in task["annotations"]
            ]
            references = [str(task["data"].get(image.key, "")) for image in project.images]
            yield int(task["id"]), repr((references, sorted(found)))

    def some_tasks(self, project: LabeledProject, ids: Sequence[int]) -> list[AnnotatedTask]:
        """Return those tasks of a project that exist, by ID."""
        which, fields = TaskFilter("id", "in_list", ids), ",".join(_FIELDS)
        found = self._label_studio.find_tasks(project.id, which, fields, len(ids))
        return [self._parse_task(project, each) for each in found]

    def _parse_task(self, project: LabeledProject, task: Mapping[str, Any]) -> AnnotatedTask:
        annotations = sorted(task["annotations"], key=lambda each: int(each["id"]))
        return AnnotatedTask(
            id=int(task["id"]),
            project=project,
            data=task["data"],
            meta=task["meta"] or {},
            annotations=tuple(self._parse_annotation(each) for each in annotations),
        )

    def _parse_annotation(self, annotation: Mapping[str, Any]) -> Annotation:
        return Annotation(
            id=int(annotation["id"]),
            annotator=self._annotator_name(annotation["completed_by"]),
            skipped=annotation["was_cancelled"],
            created_at=datetime.fromisoformat(annotation["created_at"]),
            updated_at=datetime.fromisoformat(annotation["updated_at"]),
            lead_time=annotation["lead_time"],
            result=tuple(annotation.get("result") or ()),
            parent_prediction=annotation.get("parent_prediction"),
        )

    def _annotator_name(self, user: int | None) -> str:
        if user is None:
            return DELETED_USER
        if user not in self._annotators:  # a user may have been added since the list was read
            listed = self._label_studio.call("GET", "/api/users")
            self._annotators = {each["id"]: each["email"] for each in listed}
        return self._annotators.setdefault(user, f"user {user}")

    def _check_counts(self, project: LabeledProject, seen: Counts) -> None:
        """Compare with Label Studio's counts: exact, unless they changed during the read."""
        before, after = project.counts, self.project(project.id).counts
        for name in ("tasks", "annotations", "skipped"):
            low, high = sorted((getattr(before, name), getattr(after, name)))
            if not low <= getattr(seen, name) <= high:
                raise LabelStudioError(
                    f"project {project.id} has {high} {name}, but {getattr(seen, name)} were read",
                    "some may have been deleted at the same time; run the command again",
                )


def _parse_prediction(prediction: Mapping[str, Any]) -> Annotation:
    created_at = datetime.fromisoformat(prediction["created_at"])
    return Annotation(
        id=int(prediction["id"]),
        annotator=str(prediction["model_version"] or ""),
        skipped=False,
        created_at=created_at,
        updated_at=created_at,
        lead_time=None,
        result=tuple(prediction["result"] or ()),
    )


def _picture_name(tag: str, item: int) -> str:
    return "-".join(filter(None, [tag, str(item + 1) if item else ""]))
