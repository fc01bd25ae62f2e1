"""Predictor of the interactive backend: boxes and clicks in, masks out."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml_backend.deadline import Deadline
from ml_backend.errors import PromptError, TaskError
from ml_backend.images import ImageSource, TaskAccess
from ml_backend.images.decode import is_reduced
from ml_backend.labelstudio.enlarge import enlarge
from ml_backend.labelstudio.label_config import LabelConfig, refuse
from ml_backend.labelstudio.mask_regions import mask_regions
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Region, Task
from ml_backend.labelstudio.task_images import TaskImage, task_image, task_images
from ml_backend.serving.executor import ActivityGauge, PriorityExecutor
from sam_backend.concepts import Concept, ConceptFinder, concepts_in, missing_phrases
from sam_backend.crops import Crop, combine, crop_for
from sam_backend.embedding_service import EmbeddingKey, EmbeddingService, EmbeddingStore
from sam_backend.exclusive import leave_out
from sam_backend.mask_refinement import CompressedMask, MaskRefiner
from sam_backend.models.base import Embedding, Mask, PromptableModel, Prompts
from sam_backend.recent_answers import Answer, Place, RecentAnswers
from sam_backend.region_target import Target, find_target, prompts_from_context, things

Prewarmed = Literal["made", "kept"]

_FETCHES = 2
"""Number of images of a batch in progress at the same time, one of them in the model."""


_NO_LOGITS = np.zeros((0, 0), np.float16)


@dataclass(frozen=True)
class _Suggested:
    """A mask, and its label and control."""

    target: Target
    mask: Mask


class SamPredictor:
    """Answers interactive calls; returns no predictions in a batch.

    Args:
        model: Model that finds what a prompt points at, loaded and warmed.
        images: Loader of task images.
        store: Cache of embeddings.
        concepts: Model that finds typed phrases and exemplars; None: unavailable.
    """

    def __init__(
        self,
        model: PromptableModel,
        images: ImageSource,
        store: EmbeddingStore,
        concepts: ConceptFinder | None = None,
    ) -> None:
        self._version = model.version
        self._input_side = model.input_side
        self._images = images
        self._embeddings = EmbeddingService(model, store)
        self._refiner = MaskRefiner(model)
        self._concepts = concepts
        self._recent = RecentAnswers()
        self._clicks = PriorityExecutor("click")
        self._labelers = ActivityGauge()

    @property
    def model_version(self) -> str:
        """Version of the model."""
        return self._version

    @property
    def classes(self) -> tuple[str, ...]:
        """Empty: the labeler names what is segmented."""
        return ()

    @property
    def learns(self) -> bool:
        """False: it does not learn from annotations."""
        return False

    @property
    def reads_text(self) -> bool:
        """Whether labelers can type what to find."""
        return self._concepts is not None

    def for_project(self, project: object) -> "SamPredictor":  # noqa: ARG002
        """Return this predictor: all projects share one model."""
        return self

    def check(self, label_config: LabelConfig) -> str:
        """Require a control that takes masks, and on the same image a smart tool with its labels.

        A text for typed prompts suffices if the model finds what is typed.

        Raises:
            LabelConfigError: One of them is missing.
        """
        refuse(label_config.problems_for_prompts(reads_text=self.reads_text))
        return ""

    def predict(
        self,
        tasks: Sequence[Task],
        context: Context | None,
        *,
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Iterator[Prediction | TaskError | None]:
        """Answer the labeler's prompts, a mask for each object; in a batch, None for each task."""
        for task in tasks:
            if context is None:
                yield None
                continue
            try:
                with self._labelers.serving():
                    prediction = self._interact(task, context, label_config, deadline)
                yield prediction
            except TaskError as error:
                yield error

    def prewarm(
        self,
        tasks: Sequence[Task],
        *,
        label_config: LabelConfig,
        deadline: Deadline,
        into_memory: bool = False,
    ) -> Iterator[Prewarmed | TaskError]:
        """Compute the embeddings of the tasks' images, with lower priority than labelers' requests.

        Images are fetched while others are encoded; cached ones are not fetched.

        Args:
            tasks: Tasks to prepare.
            label_config: Label config of the project; images without a smart tool are ignored.
            deadline: Deadline of the last embedding.
            into_memory: Whether to move cached embeddings to the fastest tier.

        Yields:
            Outcome of each task, in order: computed, cached, or the error.
        """
        pool = ThreadPoolExecutor(_FETCHES, thread_name_prefix="prewarm-fetch")
        names = label_config.prompted_images()

        def prepare(task: Task) -> Prewarmed | TaskError:
            try:
                images = [i for name in names for i in task_images(task.data, label_config, name)]
                made = [
                    self._prepare(each.reference, task.access, deadline, into_memory)
                    for each in images
                ]
            except TaskError as error:
                return error
            return "made" if any(made) else "kept"

        try:
            yield from pool.map(prepare, tasks)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _interact(
        self, task: Task, context: Context, label_config: LabelConfig, deadline: Deadline
    ) -> Prediction:
        config = label_config.for_task(task.data)
        if context.continues:
            context = self._continued(task, context)
        concepts = concepts_in(context, config)
        # Other models take an example for an ordinary box.
        if concepts and (self._concepts or context.text):
            return self._find_all(concepts, task, context, config, deadline)
        target = find_target(context, config)
        image = task_image(task.data, config, target.control.to_name, context.item)
        masks = self._segment(image.reference, task.access, context, deadline)
        found = [_Suggested(target, mask) for mask in masks]
        return self._suggest(found, image, task, context, self._reduced_from(masks, context))

    def _find_all(
        self,
        concepts: Sequence[Concept],
        task: Task,
        context: Context,
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Prediction:
        """Return all things that a text names, or that resemble an example."""
        if self._concepts is None:
            raise PromptError(
                "this model finds nothing by text", "draw a box, or set SAM_MODEL=sam3"
            )
        to_name = concepts[0].target.control.to_name
        image = task_image(task.data, label_config, to_name, context.item)
        encoded = self._images.open(image.reference, deadline.remaining(), task.access)
        things = self._concepts.find(encoded, [each.wanted for each in concepts], deadline)
        missing = missing_phrases(concepts, things)
        found = [
            _Suggested(
                concepts[each.class_index - 1].target, Mask(each.mask, each.score, _NO_LOGITS)
            )
            for each in things
        ]
        prediction = self._suggest(found, image, task, context, encoded.reduced_from())
        remark = f"nothing found for: {', '.join(missing)}" if missing else ""
        return prediction.model_copy(update={"remark": remark})

    def _suggest(
        self,
        found: Sequence[_Suggested],
        image: TaskImage,
        task: Task,
        context: Context,
        full: tuple[int, int] | None,
    ) -> Prediction:
        """Convert masks to regions; ``full`` is the size of an image that was decoded reduced."""
        place = _place(task, image.to_name, context.item)
        if any(each.target.control.options.exclusive for each in found):
            found = self._exclusive(found, context, task, place)
        regions = [
            mask_regions(
                each.mask.pixels,
                each.target.control,
                each.target.label,
                each.mask.score,
                image.item,
            )
            for each in found
        ]
        self._remember(place, context, found, regions)
        result = [region for each in regions for region in each]
        return Prediction(
            result=enlarge(result, full) if full else result,
            score=min((each.mask.score for each in found), default=0.0),
            model_version=self._version,
        )

    def _reduced_from(self, masks: Sequence[Mask], context: Context) -> tuple[int, int] | None:
        """Return the full size of an image that was decoded reduced, else None."""
        # Nothing else in a warm click knows the size of such an image.
        huge = math.prod(context.size) > self._images.max_pixels
        sizes = {(mask.pixels.shape[0], mask.pixels.shape[1]) for mask in masks}
        return context.size if huge and any(is_reduced(s, context.size) for s in sizes) else None

    def _segment(
        self, reference: str, access: TaskAccess, context: Context, deadline: Deadline
    ) -> list[Mask]:
        """Return a mask for each object that the labeler showed."""
        key, embedding = self._embedding(reference, access, deadline)
        height, width = embedding.height, embedding.width
        masks = []
        for thing in things(prompts_from_context(context, height, width)):
            views: dict[Crop | None, list[Prompts]] = {}
            for each in thing:
                views.setdefault(crop_for(each, height, width, self._input_side), []).append(each)
            parts = []
            for crop, objects in views.items():
                if crop is None:
                    parts.append(self._answer(key, embedding, objects, deadline))
                    continue
                part, closer = self._crop_embedding(key, crop, reference, access, deadline)
                placed = [crop.place(each) for each in objects]
                found = self._answer(part, closer, placed, deadline)
                parts.append(crop.paste(found, height, width))
            masks.append(combine(parts))
        return masks

    def _answer(
        self, key: EmbeddingKey, embedding: Embedding, objects: list[Prompts], deadline: Deadline
    ) -> Mask:
        return self._clicks.run(
            lambda: self._refiner.predict(key, embedding, objects, deadline), deadline
        )

    def _continued(self, task: Task, context: Context) -> Context:
        """Return the previous prompts plus the clicks on the background that refine them."""
        place = _place(task, context.to_name, context.item)
        before = [each for each in self._recent.on(place) if not each.context.text]
        if not before:
            raise PromptError(
                "a click on the background came before any object",
                "click on the object first, then on what does not belong to it",
            )
        return before[-1].context.continued(context)

    def _exclusive(
        self, found: Sequence[_Suggested], context: Context, task: Task, place: Place
    ) -> list[_Suggested]:
        recent = self._recent.on(place)
        left: list[_Suggested] = []
        for each in found:
            pixels = leave_out(each.mask.pixels, each.target.label, context, task, place, recent)
            for other in left:
                pixels &= ~other.mask.pixels
            left.append(replace(each, mask=replace(each.mask, pixels=pixels)))
        return left

    def _remember(
        self,
        place: Place,
        context: Context,
        found: Sequence[_Suggested],
        regions: Sequence[Sequence[Region]],
    ) -> None:
        """Store the answers; pixels only if a later suggestion excludes them."""
        answers = [
            Answer(
                context,
                each.target.label,
                frozenset(region.id for region in results),
                CompressedMask.of(each.mask) if each.target.control.options.exclusive else None,
            )
            for each, results in zip(found, regions, strict=True)
        ]
        self._recent.remember(place, answers)

    def _crop_embedding(
        self,
        key: EmbeddingKey,
        crop: Crop,
        reference: str,
        access: TaskAccess,
        deadline: Deadline,
    ) -> tuple[EmbeddingKey, Embedding]:
        part = replace(key, crop=crop)
        found = self._embeddings.lookup(part, deadline)
        if found is not None:
            return part, found
        image = self._images.open(reference, deadline.remaining(), access)

        def decode() -> npt.NDArray[np.uint8]:
            return crop.cut(image.decode())

        return part, self._embeddings.get_or_compute(part, decode, deadline)

    def _embedding(
        self, reference: str, access: TaskAccess, deadline: Deadline
    ) -> tuple[EmbeddingKey, Embedding]:
        """Return the embedding, without fetching the image if its reference identifies it."""
        identity = self._images.identify(reference, access)
        if identity is not None:
            key = EmbeddingKey(identity, self._version)
            found = self._embeddings.lookup(key, deadline)
            if found is not None:
                return key, found
        image = self._images.open(reference, deadline.remaining(), access)
        key = EmbeddingKey(image.identity, self._version)
        return key, self._embeddings.get_or_compute(key, image.decode, deadline)

    def _prepare(
        self, reference: str, access: TaskAccess, deadline: Deadline, into_memory: bool
    ) -> bool:
        """Compute the embedding if necessary; return whether it was."""
        identity = self._images.identify(reference, access)
        if identity is not None and self._has(identity, into_memory):
            return False
        self._labelers.wait(deadline)
        image = self._images.open(reference, deadline.remaining(), access)
        if self._has(image.identity, into_memory):
            return False
        key = EmbeddingKey(image.identity, self._version)
        self._embeddings.precompute(key, image.decode, deadline)
        return True

    def _has(self, identity: str, into_memory: bool) -> bool:
        return self._embeddings.has(EmbeddingKey(identity, self._version), into_memory)


def _place(task: Task, to_name: str, item: int) -> Place:
    project = task.project if isinstance(task.project, int | str) else None
    return Place(project, task.id, to_name, item)
