"""Finds the garments of a project's label config on each task's image."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import structlog

from ml_backend.contract import Prediction, Region, Task
from ml_backend.deadline import Deadline
from ml_backend.errors import BudgetError, LabelConfigError, TaskError
from ml_backend.images import ImageSource
from ml_backend.label_config import Control, LabelConfig
from ml_backend.predictor import image_reference
from ml_backend.prompts import Context
from ml_backend.regions import drop_specks, mask_regions
from ml_backend.taxonomy import assign_labels
from segmentation_backend.models.base import ClassMap, GarmentModel

log = structlog.get_logger(__name__)


class SegmentationPredictor:
    """One region a label and image (see ``ml_backend.predictor.Predictor``).

    Args:
        model: Loaded and warmed.
        images: Where task images come from.
        min_region_fraction: Connected parts smaller than this fraction of the image are dropped.
    """

    def __init__(
        self, model: GarmentModel, images: ImageSource, min_region_fraction: float
    ) -> None:
        self._model = model
        self._images = images
        self._min_region_fraction = min_region_fraction
        self._inference = threading.Lock()

    @property
    def model_version(self) -> str:
        """Names the network and its weights."""
        return f"segmentation-{self._model.version}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The network's."""
        return self._model.classes

    def check(self, label_config: LabelConfig) -> None:
        """Raise LabelConfigError where no label can ever be predicted."""
        self._labels(label_config.mask_control())

    def predict(
        self,
        tasks: Sequence[Task],
        context: Context | None,
        *,
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Iterator[Prediction | TaskError | None]:
        """Yield the garments of each task; nothing for a click, which is the sam backend's."""
        for task in tasks:
            try:
                yield None if context else self._garments(task, label_config, deadline)
            except TaskError as error:
                yield error

    def fit(self, event: str, data: Mapping[str, Any]) -> None:
        """Log the event: the shipped network is trained by ``make train-segmentation`` alone."""
        log.debug("event", action=event, fields=sorted(data))

    def _garments(self, task: Task, label_config: LabelConfig, deadline: Deadline) -> Prediction:
        control = label_config.mask_control()
        reference = image_reference(task, label_config, control.to_name)
        image = self._images.load(reference, timeout=deadline.remaining())
        with self._turn(deadline):
            (class_map,) = self._model.segment([image.pixels])
        regions = self._regions(class_map, control)
        score = sum(region.score for region in regions) / len(regions) if regions else 0.0
        return Prediction(result=regions, score=score, model_version=self.model_version)

    def _regions(self, class_map: ClassMap, control: Control) -> list[Region]:
        smallest = round(self._min_region_fraction * class_map.indices.size)
        areas = np.bincount(class_map.indices.ravel(), minlength=len(class_map.scores))
        regions: list[Region] = []
        for label, classes in self._labels(control).items():
            present = [index for index in classes if areas[index]]
            if present:
                mask = drop_specks(np.isin(class_map.indices, present), smallest)
                score = float(np.average(class_map.scores[present], weights=areas[present]))
                regions += mask_regions(mask, control, label, score)
        return regions

    def _labels(self, control: Control) -> dict[str, list[int]]:
        """Label → the model's classes that it takes, in the control's order."""
        assigned = assign_labels(self._model.classes, control.labels)
        if not assigned:
            raise LabelConfigError(
                f"no label of {control.name!r} is known to the model",
                'add predicted_values to a Label, e.g. <Label value="Gown" '
                f'predicted_values="dress"/>; the model knows {", ".join(self._model.classes[1:])}',
            )
        labels: dict[str, list[int]] = {}
        for label in control.labels:
            classes = [index for index, value in assigned.items() if value == label.value]
            if classes:
                labels[label.value] = classes
        return labels

    @contextmanager
    def _turn(self, deadline: Deadline) -> Iterator[None]:
        # One inference at a time uses all compute threads; more would only share them.
        if not self._inference.acquire(timeout=deadline.remaining()):
            raise BudgetError("the model was busy with other requests", "ask again")
        try:
            yield
        finally:
            self._inference.release()
