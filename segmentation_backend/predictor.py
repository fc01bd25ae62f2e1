"""Finds the garments of a project's label config on each task's image."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import structlog

from ml_backend.deadline import Deadline
from ml_backend.errors import TaskError
from ml_backend.images import EncodedImage, ImageSource
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Region, Task
from ml_backend.labelstudio.task_images import TaskImage, task_images
from ml_backend.serving.executor import PriorityExecutor, wait_for
from segmentation_backend.models.base import Instance, SegmentationModel
from segmentation_backend.prewarm_client import PrewarmClient
from segmentation_backend.regions import RegionBuilder
from segmentation_backend.settings import RegionSettings

log = structlog.get_logger(__name__)


_FETCHES = 4
"""Images of a batch that are fetched while another is with the model."""

_DECODES = 1
"""Likewise, decoded: a photograph takes a hundred times the memory that its file takes. They are
decoded in their order: one that waits for room must not wait for one after it."""

_INFERENCES = 1
"""Likewise, with the model while regions are made."""

Pixels = npt.NDArray[np.uint8]
Result = TypeVar("Result")


class SegmentationPredictor:
    """One region for each instance (see ``ml_backend.labelstudio.predictor.Predictor``).

    A batch is three stages that overlap: fetch and decode, the model, regions. The model takes one
    image at a time: several at once, as in bulk, save 9 % of its time on a CPU and hold up answers.

    Args:
        model: Loaded and warmed.
        images: Where task images come from.
        settings: Which instances become regions, and how many.
        prewarm_client: Is told of each batch's tasks before they are answered.
    """

    def __init__(
        self,
        model: SegmentationModel,
        images: ImageSource,
        settings: RegionSettings,
        prewarm_client: PrewarmClient | None = None,
    ) -> None:
        version = f"segmentation-{model.version}"
        self._model = model
        self._images = images
        self._region_builder = RegionBuilder(version, model.classes, settings)
        self._prewarm_client = prewarm_client
        self._executor = PriorityExecutor("model")

    @property
    def model_version(self) -> str:
        """Names the network and its weights."""
        return self._region_builder.model_version

    @property
    def classes(self) -> tuple[str, ...]:
        """The network's."""
        return self._region_builder.classes

    def check(self, label_config: LabelConfig) -> None:
        """Raise LabelConfigError where no label can ever be predicted."""
        self._region_builder.check(label_config)

    def predict(
        self,
        tasks: Sequence[Task],
        context: Context | None,
        *,
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Iterator[Prediction | TaskError | None]:
        """Yield the garments of each task; nothing for a click, which is the sam backend's."""
        if context is not None:
            yield from (None for _ in tasks)
            return
        if self._prewarm_client is not None:
            self._prewarm_client.send(tasks, label_config)
        plans = [_images(task, label_config) for task in tasks]
        images = (image for plan in plans if not isinstance(plan, TaskError) for image in plan)
        with _threads(_FETCHES + 1) as fetchers, _threads(1) as decoder:
            fetch = partial(self._fetch, deadline=deadline)
            fetched = _prefetch((fetchers.submit(fetch, image) for image in images), _FETCHES)
            decoded = _prefetch((decoder.submit(_decode, image) for image in fetched), _DECODES)
            segmented = _prefetch(self._segmented(decoded, deadline), _INFERENCES)
            for task, plan in zip(tasks, plans, strict=True):
                if isinstance(plan, TaskError):
                    yield plan
                else:
                    config = label_config.for_task(task.data)
                    yield self._answer(plan, segmented, config, deadline)

    def _answer(
        self,
        images: Sequence[TaskImage],
        segmented: Iterator[Future[list[Instance]]],
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Prediction | TaskError:
        """The regions of all images of a task, or why one of them has none."""
        regions: list[Region] = []
        failed: TaskError | None = None
        for image, found in zip(images, segmented, strict=False):
            try:
                instances = wait_for(found, deadline)
                regions += self._region_builder.regions(
                    instances, label_config, image.to_name, image.item
                )
            except TaskError as error:
                failed = failed or error
            finally:
                found.cancel()
        return failed or self._region_builder.prediction(regions)

    def fit(self, event: str, data: Mapping[str, Any]) -> None:
        """Log the event: the shipped network is trained by ``make train-segmentation`` alone."""
        log.debug("event", action=event, fields=sorted(data))

    def _fetch(self, image: TaskImage, deadline: Deadline) -> EncodedImage:
        return self._images.open(image.reference, deadline.remaining())

    def _segmented(
        self, images: Iterable[Future[Pixels]], deadline: Deadline
    ) -> Iterator[Future[list[Instance]]]:
        """Give images to the model as they get ready."""
        for image in images:
            try:
                pixels = wait_for(image, deadline)
            except TaskError as error:
                failed: Future[list[Instance]] = Future()
                failed.set_exception(error)
                yield failed
            else:
                yield self._executor.submit(partial(self._segment, pixels))

    def _segment(self, pixels: Pixels) -> list[Instance]:
        return self._model.segment([pixels])[0]


def _images(task: Task, label_config: LabelConfig) -> list[TaskImage] | TaskError:
    """All images of a task that masks can be drawn on, or why there is none."""
    try:
        names = label_config.mask_images()
        return [image for name in names for image in task_images(task.data, label_config, name)]
    except TaskError as error:
        return error


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for one batch; whoever stops asking for answers leaves nothing waiting."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="load-image")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _prefetch(begun: Iterable[Future[Result]], count: int) -> Iterator[Future[Result]]:
    """Give work in its order, with ``count`` more begun than were asked for."""
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


def _decode(fetched: Future[EncodedImage]) -> Pixels:
    return fetched.result().decode()
