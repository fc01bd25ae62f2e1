"""Finds the garments of a project's label config on each task's image."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import structlog

from ml_backend.deadline import Deadline
from ml_backend.errors import LabelConfigError, TaskError
from ml_backend.images import EncodedImage, ImageSource
from ml_backend.labelstudio.label_config import Control, LabelConfig, refuse
from ml_backend.labelstudio.label_matching import match_labels
from ml_backend.labelstudio.mask_regions import drop_specks, mask_regions
from ml_backend.labelstudio.predictor import image_reference
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Region, Task
from ml_backend.serving.executor import PriorityExecutor, wait_for
from segmentation_backend.classes import SYNONYMS
from segmentation_backend.models.base import ClassMap, GarmentModel
from segmentation_backend.prewarm_client import PrewarmClient

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


@dataclass(frozen=True)
class RegionBuilder:
    """What a class map says in a label config's words: the same here and in bulk.

    Attributes:
        model_version: Of the predictions.
        classes: The network's, the background first.
        min_region_fraction: Connected parts smaller than this fraction of the image are dropped.
    """

    model_version: str
    classes: tuple[str, ...]
    min_region_fraction: float

    def check(self, label_config: LabelConfig) -> None:
        """Raise LabelConfigError where no label can ever be predicted."""
        refuse(label_config.problems_for_masks())
        controls = label_config.mask_controls()
        if not self._targets(controls):
            raise LabelConfigError(
                f"no label of {controls[0].name!r} is known to the model",
                'add predicted_values to a Label, e.g. <Label value="Gown" '
                f'predicted_values="dress"/>; the model knows {", ".join(self.classes[1:])}',
            )

    def predict(self, class_map: ClassMap, label_config: LabelConfig) -> Prediction:
        """One region for each label that appears."""
        regions = self._regions(class_map, label_config.mask_controls())
        score = sum(region.score for region in regions) / len(regions) if regions else 0.0
        return Prediction(result=regions, score=score, model_version=self.model_version)

    def _regions(self, class_map: ClassMap, controls: Sequence[Control]) -> list[Region]:
        smallest = round(self.min_region_fraction * class_map.indices.size)
        areas = np.bincount(class_map.indices.ravel(), minlength=len(class_map.scores))
        regions: list[Region] = []
        for control, label, classes in self._targets(controls):
            present = [index for index in classes if areas[index]]
            if present:
                mask = _mask(class_map.indices, present, smallest)
                score = float(np.average(class_map.scores[present], weights=areas[present]))
                regions += mask_regions(mask, control, label, score)
        return regions

    def _targets(self, controls: Sequence[Control]) -> list[tuple[Control, str, list[int]]]:
        """Each label that takes some of the model's classes: its control, itself, and these."""
        labels = [label for control in controls for label in control.labels]
        taken: dict[str, list[int]] = {}
        for index, value in match_labels(self.classes, labels, SYNONYMS).items():
            taken.setdefault(value, []).append(index)
        # A label of two controls is the first one's.
        return [
            (control, label.value, sorted(taken.pop(label.value)))
            for control in controls
            for label in control.labels
            if label.value in taken
        ]


class SegmentationPredictor:
    """One region a label and image (see ``ml_backend.labelstudio.predictor.Predictor``).

    A batch is three stages that overlap: fetch and decode, the model, regions. The model takes one
    image at a time: several at once, as in bulk, save 9 % of its time on a CPU and hold up answers.

    Args:
        model: Loaded and warmed.
        images: Where task images come from.
        min_region_fraction: Connected parts smaller than this fraction of the image are dropped.
        prewarm_client: Is told of each batch's tasks before they are answered.
    """

    def __init__(
        self,
        model: GarmentModel,
        images: ImageSource,
        min_region_fraction: float,
        prewarm_client: PrewarmClient | None = None,
    ) -> None:
        version = f"segmentation-{model.version}"
        self._model = model
        self._images = images
        self._region_builder = RegionBuilder(version, model.classes, min_region_fraction)
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
        with _threads(_FETCHES + 1) as fetchers, _threads(1) as decoder:
            fetch = partial(self._fetch, label_config=label_config, deadline=deadline)
            fetched = _prefetch((fetchers.submit(fetch, task) for task in tasks), _FETCHES)
            decoded = _prefetch((decoder.submit(_decode, image) for image in fetched), _DECODES)
            for segmented in _prefetch(self._segmented(decoded, deadline), _INFERENCES):
                try:
                    class_map = wait_for(segmented, deadline)
                    yield self._region_builder.predict(class_map, label_config)
                except TaskError as error:
                    yield error
                finally:
                    segmented.cancel()

    def fit(self, event: str, data: Mapping[str, Any]) -> None:
        """Log the event: the shipped network is trained by ``make train-segmentation`` alone."""
        log.debug("event", action=event, fields=sorted(data))

    def _fetch(self, task: Task, label_config: LabelConfig, deadline: Deadline) -> EncodedImage:
        reference = image_reference(task, label_config, label_config.mask_controls()[0].to_name)
        return self._images.open(reference, deadline.remaining())

    def _segmented(
        self, images: Iterable[Future[Pixels]], deadline: Deadline
    ) -> Iterator[Future[ClassMap]]:
        """Give images to the model as they get ready."""
        for image in images:
            try:
                pixels = wait_for(image, deadline)
            except TaskError as error:
                failed: Future[ClassMap] = Future()
                failed.set_exception(error)
                yield failed
            else:
                yield self._executor.submit(partial(self._segment, pixels))

    def _segment(self, pixels: Pixels) -> ClassMap:
        return self._model.segment([pixels])[0]


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


def _mask(indices: Pixels, classes: list[int], smallest: int) -> npt.NDArray[np.bool_]:
    """(H, W) bool: where one of the classes is; specks are sought only in the box around them."""
    chosen = np.zeros(256, np.bool_)
    chosen[classes] = True
    mask = chosen[indices]
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    around = np.s_[y : y + height, x : x + width]
    mask[around] = drop_specks(np.ascontiguousarray(mask[around]), smallest)
    return mask
