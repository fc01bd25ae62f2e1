"""Models that Ray's workers load in tests: fast, and right by the eye."""

import time
from collections.abc import Sequence

import numpy as np

from segmentation_backend.models.base import ClassMap, Instance
from segmentation_backend.models.things import class_instances
from segmentation_backend.settings import SegmentationSettings


class ByColour:
    """Red is a dress, green a hat; the brighter, the surer, so that each image has its own score.

    All are surer than ``SCORE_THRESHOLD``.
    """

    version = "by-colour"
    classes = ("background", "dress", "hat")

    def segment(self, images: Sequence[np.ndarray]) -> list[list[Instance]]:
        return [class_instances(self._one(image), self.classes) for image in images]

    def _one(self, image: np.ndarray) -> ClassMap:
        bright = image.max(axis=2) > 100
        indices = np.where(bright, image[:, :, :2].argmax(axis=2) + 1, 0).astype(np.uint8)
        return ClassMap(
            indices, np.array([0, *(0.5 + image[:, :, :2].mean((0, 1)) / 510)], np.float32)
        )


class Slow(ByColour):
    """Takes its time, and little of the processor's."""

    def segment(self, images: Sequence[np.ndarray]) -> list[list[Instance]]:
        time.sleep(0.02 * len(images))
        return super().segment(images)


def load(_settings: SegmentationSettings) -> ByColour:
    return ByColour()


def load_slow(_settings: SegmentationSettings) -> Slow:
    return Slow()
