"""Convert instances to regions of a label config, in the backend and in bulk."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import Control, Label, LabelConfig, refuse
from ml_backend.labelstudio.label_matching import match_labels
from ml_backend.labelstudio.mask_regions import drop_specks, mask_regions
from ml_backend.labelstudio.schemas import ChosenAnswer, Prediction, Region, mean_score
from ml_backend.labelstudio.thresholds import score_threshold
from segmentation_backend.classes import SYNONYMS
from segmentation_backend.models.base import Instance, Mask
from segmentation_backend.settings import RegionSettings


@dataclass(frozen=True)
class Target:
    """Label with the model's classes that are mapped to it.

    Attributes:
        control: Control that takes the regions.
        label: Label value.
        classes: Indices of the classes, ascending.
        threshold: Minimum score of a shown region, 0..1.
    """

    control: Control
    label: str
    classes: tuple[int, ...]
    threshold: float


@dataclass(frozen=True)
class RegionBuilder:
    """Converts a model's instances to regions with the labels of a label config.

    Attributes:
        model_version: Version of the predictions.
        classes: Class names of the model, the background first.
        settings: Settings of the regions to predict.
        own_labels: Whether the classes are the project's own labels, and reach no others.
    """

    model_version: str
    classes: tuple[str, ...]
    settings: RegionSettings
    own_labels: bool = False

    def knows(self, label_config: LabelConfig) -> bool:
        """Return whether some label can be predicted."""
        return bool(self._targets(_controls(label_config)))

    def check(self, label_config: LabelConfig) -> None:
        """Raise LabelConfigError if no label can ever be predicted."""
        refuse(label_config.problems_for_masks())
        controls = _controls(label_config)
        if label_config.has_dynamic_labels or self.knows(label_config):
            return
        raise LabelConfigError(
            f"no label of {controls[0].name!r} is known to the model",
            'add predicted_values to a Label, e.g. <Label value="Gown" '
            f'predicted_values="dress"/>; the model knows {", ".join(self.classes[1:])}',
        )

    def predict(self, instances: Sequence[Instance], label_config: LabelConfig) -> Prediction:
        """Return the regions of one photograph, ordered by label."""
        return self.prediction(self.regions(instances, label_config))

    def regions(
        self,
        instances: Sequence[Instance],
        label_config: LabelConfig,
        image: str | None = None,
        item: int | None = None,
    ) -> list[Region]:
        """Return the regions of one image of a task, ordered by label.

        Args:
            instances: Instances that the model found on it.
            label_config: Label config, with the labels of the task.
            image: Name of the image tag; None: the first one that masks can be drawn on.
            item: Page of the image, if the tag shows several.
        """
        return [
            region
            for target in self._targets(label_config.mask_controls(image))
            for things in self._things(instances, target)
            for region in self._regions(things, target, item)
        ]

    def prediction(self, results: Sequence[Region | ChosenAnswer]) -> Prediction:
        """Return the prediction of a task with these results; its score is their mean."""
        score = mean_score([each.score for each in results])
        return Prediction(result=[*results], score=score, model_version=self.model_version)

    def _things(self, instances: Sequence[Instance], target: Target) -> list[list[Instance]]:
        """Group a label's instances: one list for each region."""
        found = [each for each in instances if each.class_index in target.classes]
        if self.settings.regions == "merged":
            return [found] if found else []
        return joined_parts(found)

    def _regions(
        self, things: Sequence[Instance], target: Target, item: int | None
    ) -> list[Region]:
        score = float(np.average([i.score for i in things], weights=[i.area for i in things]))
        if score < target.threshold:
            return []
        mask = union(things)
        smallest = round(self.settings.min_region_fraction * mask.size)
        cleaned = _without_specks(mask, smallest)
        return mask_regions(cleaned, target.control, target.label, score, item)

    def _targets(self, controls: Sequence[Control]) -> list[Target]:
        labels = [label for control in controls for label in control.labels]
        taken: dict[str, list[int]] = {}
        for index, value in self._assign(labels).items():
            taken.setdefault(value, []).append(index)
        # A label of two controls belongs to the first.
        return [
            Target(
                control,
                label.value,
                tuple(sorted(taken.pop(label.value))),
                score_threshold(control, label, self.settings.score_threshold),
            )
            for control in controls
            for label in control.labels
            if label.value in taken
        ]

    def _assign(self, labels: Sequence[Label]) -> dict[int, str]:
        if not self.own_labels:
            return match_labels(self.classes, labels, SYNONYMS)
        values = {label.value for label in labels}
        return {n: name for n, name in enumerate(self.classes) if n > 0 and name in values}


def _controls(label_config: LabelConfig) -> list[Control]:
    """Return the controls that take masks, of all images."""
    return [c for name in label_config.mask_images() for c in label_config.mask_controls(name)]


def joined_parts(instances: Sequence[Instance]) -> list[list[Instance]]:
    """Group the instances of one label into things.

    A class map can switch class within a garment: touching parts of several classes are one
    thing. An instance that the model separated is a thing of its own.
    """
    things = [[each] for each in instances if each.separate]
    parts = [[each] for each in instances if not each.separate]
    while parts:
        first, *parts = parts
        touching = [other for other in parts if _touch(union(first), union(other))]
        if not touching:
            things.append(first)
            continue
        rest = [other for other in parts if other not in touching]
        parts = [[*first, *(each for other in touching for each in other)], *rest]
    return things


def union(instances: Sequence[Instance]) -> Mask:
    """Return (H, W) bool: the union of one or more instances."""
    first, *others = instances
    mask = first.mask
    for other in others:
        height, width = other.crop.shape
        mask[other.top : other.top + height, other.left : other.left + width] |= other.crop
    return mask


def _touch(one: Mask, other: Mask) -> bool:
    grown = cv2.dilate(one.view(np.uint8), np.ones((3, 3), np.uint8))
    return bool((grown.view(np.bool_) & other).any())


def _without_specks(mask: Mask, smallest: int) -> Mask:
    """Remove small connected parts, searched only in the box around the mask."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    around = np.s_[y : y + height, x : x + width]
    mask[around] = drop_specks(np.ascontiguousarray(mask[around]), smallest)
    return mask
