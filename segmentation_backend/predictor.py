"""Finds the garments of a project's label config on each task's image."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import structlog

from ml_backend.deadline import Deadline
from ml_backend.errors import TaskError
from ml_backend.images import EncodedImage, ImageSource, TaskAccess
from ml_backend.labelstudio.control_tasks import is_control
from ml_backend.labelstudio.enlarge import enlarge
from ml_backend.labelstudio.label_config import Control, LabelConfig, refuse
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import ChosenAnswer, Prediction, Region, Task
from ml_backend.labelstudio.task_images import TaskImage, task_images
from ml_backend.models.memory import recovering_memory
from ml_backend.serving.executor import PriorityExecutor, wait_for
from segmentation_backend.choices import (
    asked_phrases,
    chosen,
    prompted_choices,
    questioned_images,
)
from segmentation_backend.classes import NOT_LEARNED_YET
from segmentation_backend.learning.serving import LearnedModels
from segmentation_backend.models.base import Instance, SegmentationModel, TextPromptedModel
from segmentation_backend.phrases import prompted
from segmentation_backend.prewarm_client import PrewarmClient
from segmentation_backend.regions import RegionBuilder
from segmentation_backend.settings import RegionSettings

log = structlog.get_logger(__name__)


_FETCHES = 4
"""Number of images of a batch that are fetched while another is in the model."""

_DECODES = 1
"""Number of images of a batch that are decoded at a time: decoded, a photograph takes a hundred
times the memory of its file. They are decoded in order: one that waits for room must not wait for a
later one."""

_INFERENCES = 1
"""Number of images of a batch in the model at a time, while regions are made."""

Pixels = npt.NDArray[np.uint8]
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class _Photograph:
    """Decoded image.

    Attributes:
        pixels: Pixels (H, W, 3) uint8 RGB.
        reduced_from: Height and width of a huge image that was decoded reduced; else None.
    """

    pixels: Pixels
    reduced_from: tuple[int, int] | None


@dataclass(frozen=True, eq=False)
class _Segmented:
    """What the model found on an image.

    Attributes:
        instances: Things that it found.
        presence: Phrase of a choice → confidence, 0..1, that there is such a thing.
        reduced_from: See ``_Photograph``.
    """

    instances: list[Instance]
    presence: Mapping[str, float]
    reduced_from: tuple[int, int] | None


@dataclass(frozen=True)
class _Asked:
    """What is asked about an image.

    Attributes:
        model: Model that finds things.
        phrases: Phrases of choices to look for in the whole image.
    """

    model: SegmentationModel
    phrases: tuple[str, ...]


class SegmentationPredictor:
    """Predicts one region for each instance (see ``ml_backend.labelstudio.predictor.Predictor``).

    A batch runs through three overlapping stages: fetch and decode, the model, regions. The model
    takes one image at a time: several at once save 9 % of its time on a CPU and delay answers.

    Args:
        model: Model, loaded and warmed.
        images: Loader of task images.
        settings: Settings of the regions to predict.
        prewarm_client: Client that announces each batch's tasks; None: nothing is announced.
        learned: Models of projects that have their own; None: there are none.
        learns: Whether a project's own labels are learned from its annotations.
    """

    def __init__(
        self,
        model: SegmentationModel,
        images: ImageSource,
        settings: RegionSettings,
        prewarm_client: PrewarmClient | None = None,
        learned: LearnedModels | None = None,
        *,
        learns: bool = False,
    ) -> None:
        version = f"segmentation-{model.version}"
        self._model = model
        # Answers questions about whole images, whichever model a project has for its masks.
        self._reader = model if isinstance(model, TextPromptedModel) else None
        self._images = images
        self._region_builder = RegionBuilder(version, model.classes, settings)
        self._prewarm_client = prewarm_client
        self._executor = PriorityExecutor("model")
        self._learned = learned
        self.learns = learns

    @property
    def model_version(self) -> str:
        """Version of the network and its weights."""
        return self._region_builder.model_version

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names of the network."""
        return self._region_builder.classes

    @property
    def model(self) -> SegmentationModel:
        """Model that makes the predictions."""
        return self._model

    @property
    def reads_text(self) -> bool:
        """Whether the model looks for the labels of a config."""
        return isinstance(self._model, TextPromptedModel)

    def for_project(self, project: object) -> "SegmentationPredictor":
        """Return the predictor of a project: with its learned model, if there is one."""
        model = self._learned.find(project) if self._learned else None
        if model is None:
            return self
        served = copy(self)
        served._model = model
        settings = self._region_builder.settings
        served._region_builder = RegionBuilder(model.version, model.classes, settings, True)
        return served

    def classes_for(self, label_config: LabelConfig) -> tuple[str, ...]:
        """Return the model's classes, given the labels of a config."""
        return prompted(self._model, label_config).classes

    def answered_images(self, label_config: LabelConfig) -> list[str]:
        """Return the names of the images that get masks, then of those that get answers only."""
        questioned = self._questioned(label_config)
        return list(dict.fromkeys((*label_config.mask_images(), *questioned)))

    def check(self, label_config: LabelConfig) -> str:
        """Return a remark if no label is known yet, but will be learned.

        Raises:
            LabelConfigError: No label can ever be predicted.
        """
        questioned = self._questioned(label_config)
        if not questioned or label_config.mask_images():
            refuse(label_config.problems_for_masks())
        refuse(label_config.problems_of_images(questioned))
        builder = self._builder(label_config)
        if questioned or builder.knows(label_config) or label_config.has_dynamic_labels:
            return ""
        if not self.learns:
            builder.check(label_config)
        return NOT_LEARNED_YET

    def predict(
        self,
        tasks: Sequence[Task],
        context: Context | None,
        *,
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Iterator[Prediction | TaskError | None]:
        """Yield the garments of each task; nothing for a click, which the sam backend answers.

        Control tasks get empty predictions: they show how long labeling takes without suggestions.
        """
        if context is not None:
            yield from (None for _ in tasks)
            return
        ours = [task for task in tasks if not is_control(task.meta)]
        predicted = self._predict_batch(ours, label_config, deadline)
        nothing = Prediction(result=[], score=0, model_version=self.model_version)
        yield from (nothing if is_control(task.meta) else next(predicted) for task in tasks)

    def _predict_batch(
        self, tasks: Sequence[Task], label_config: LabelConfig, deadline: Deadline
    ) -> Iterator[Prediction | TaskError | None]:
        if self._prewarm_client is not None:
            self._prewarm_client.send(tasks, label_config)
        knows = self._builder(label_config).knows(label_config)
        questioned = self._questioned(label_config)
        if not (knows or questioned or label_config.has_dynamic_labels):
            yield from (None for _ in tasks)
            return
        names = self.answered_images(label_config)
        plans = [_images(task, label_config, names) for task in tasks]
        images = (
            (task.access, image)
            for task, plan in zip(tasks, plans, strict=True)
            if not isinstance(plan, TaskError)
            for image in plan
        )
        with _threads(_FETCHES + 1) as fetchers, _threads(1) as decoder:
            fetch = partial(self._fetch, deadline=deadline)
            fetched = _prefetch((fetchers.submit(fetch, *each) for each in images), _FETCHES)
            decoded = _prefetch((decoder.submit(_decode, image) for image in fetched), _DECODES)
            asked = self._asked(tasks, plans, label_config)
            segmented = _prefetch(self._segmented(decoded, asked, deadline), _INFERENCES)
            for task, plan in zip(tasks, plans, strict=True):
                if isinstance(plan, TaskError):
                    yield plan
                else:
                    config = label_config.for_task(task.data)
                    yield self._answer(plan, segmented, config, deadline)

    def _answer(
        self,
        images: Sequence[TaskImage],
        segmented: Iterator[Future[_Segmented]],
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Prediction | TaskError:
        """Return the regions of all images of a task, or the error of one of them."""
        builder = self._builder(label_config)
        results: list[Region | ChosenAnswer] = []
        failed: TaskError | None = None
        for image, found in zip(images, segmented, strict=False):
            try:
                photograph = wait_for(found, deadline)
                shown = builder.regions(
                    photograph.instances, label_config, image.to_name, image.item
                )
                full = photograph.reduced_from
                results += enlarge(shown, full) if full else shown
                results += self._answers(photograph, label_config, image)
            except TaskError as error:
                failed = failed or error
            finally:
                found.cancel()
        return failed or builder.prediction(results)

    def _fetch(self, access: TaskAccess, image: TaskImage, deadline: Deadline) -> EncodedImage:
        return self._images.open(image.reference, deadline.remaining(), access)

    def _questions(self, label_config: LabelConfig, image: str) -> list[Control]:
        return prompted_choices(label_config, image) if self._reader else []

    def _questioned(self, label_config: LabelConfig) -> list[str]:
        """Return the names of the images with choices that the model can answer."""
        return questioned_images(label_config) if self._reader else []

    def _answers(
        self, seen: _Segmented, label_config: LabelConfig, image: TaskImage
    ) -> list[ChosenAnswer]:
        questions = self._questions(label_config, image.to_name)
        return chosen(questions, seen.presence, image)

    def _builder(self, label_config: LabelConfig) -> RegionBuilder:
        return replace(self._region_builder, classes=self.classes_for(label_config))

    def _asked(
        self,
        tasks: Sequence[Task],
        plans: Sequence[list[TaskImage] | TaskError],
        label_config: LabelConfig,
    ) -> Iterator[_Asked]:
        """Yield what is asked of each image: a text-prompted model looks for its labels."""
        for task, plan in zip(tasks, plans, strict=True):
            if not isinstance(plan, TaskError):
                model = prompted(self._model, label_config.for_task(task.data))
                for image in plan:
                    questions = self._questions(label_config, image.to_name)
                    yield _Asked(model, asked_phrases(questions))

    def _segmented(
        self,
        images: Iterable[Future[_Photograph]],
        asked: Iterable[_Asked],
        deadline: Deadline,
    ) -> Iterator[Future[_Segmented]]:
        """Pass images to the model as soon as they are ready."""
        for image, each in zip(images, asked, strict=False):
            try:
                photograph = wait_for(image, deadline)
            except TaskError as error:
                failed: Future[_Segmented] = Future()
                failed.set_exception(error)
                yield failed
            else:
                yield self._executor.submit(partial(self._segment, each, photograph))

    def _segment(self, asked: _Asked, photograph: _Photograph) -> _Segmented:
        pixels = photograph.pixels
        height, width = pixels.shape[:2]
        presence: Mapping[str, float] = {}
        with recovering_memory(height, width):
            (instances,) = asked.model.segment([pixels])
            if asked.phrases and self._reader:
                presence = self._reader.presence(pixels, asked.phrases)
        return _Segmented(instances, presence, photograph.reduced_from)


def _images(
    task: Task, label_config: LabelConfig, names: Sequence[str]
) -> list[TaskImage] | TaskError:
    """Return the images of a task for some image tags, or the error."""
    try:
        return [image for name in names for image in task_images(task.data, label_config, name)]
    except TaskError as error:
        return error


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Yield threads for one batch; pending work is cancelled on leaving."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="load-image")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _prefetch(begun: Iterable[Future[Result]], count: int) -> Iterator[Future[Result]]:
    """Yield futures in order, with ``count`` more started than requested."""
    waiting: deque[Future[Result]] = deque()
    try:
        for work in begun:
            waiting.append(work)
            if len(waiting) > count:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
    finally:
        for work in waiting:
            work.cancel()


def _decode(fetched: Future[EncodedImage]) -> _Photograph:
    image = fetched.result()
    return _Photograph(image.decode(), image.reduced_from())
