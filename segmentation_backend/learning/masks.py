"""Unite the annotations of a task into one mask of label indices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml_backend.labelstudio.annotations import AnnotatedTask, Annotation
from ml_backend.labelstudio.region_pixels import RegionError, region_rle
from ml_backend.labelstudio.results import Region, Shape
from segmentation_backend.learning.example import IGNORE, MOST_LABELS, Indices

UNLABELLED = 0
"""Index of pixels outside all regions."""


@dataclass(frozen=True)
class MaskRule:
    """Rule for which regions are masks of an image.

    Attributes:
        image: Name of the image tag.
        item: Page of the image, counted from 0.
        shapes: Shapes that are masks on it; others are leftover prompts.
    """

    image: str
    item: int
    shapes: frozenset[Shape]

    def takes(self, region: Region) -> bool:
        """Return whether a region is a mask on the image."""
        on_image = (region.to_name, region.item) == (self.image, self.item)
        return on_image and region.shape in self.shapes


@dataclass(frozen=True, eq=False)
class TaskMask:
    """United mask of one image.

    Attributes:
        indices: (H, W) uint8: ``UNLABELLED``, a position in ``labels`` + 1, or ``IGNORE``; None if
            all submitted annotations are empty.
        labels: Label values in the mask.
        annotators: Annotators whose annotations are united.
    """

    indices: Indices | None
    labels: tuple[str, ...]
    annotators: tuple[str, ...]


def unite(task: AnnotatedTask, rule: MaskRule) -> tuple[TaskMask | None, list[str]]:
    """Unite the latest annotation of each annotator.

    Pixels without agreement of more than half of the annotators are ``IGNORE``.

    Returns:
        Mask, None if no annotation is usable, and reasons for skipped annotations.
    """
    problems: list[str] = []
    painted: dict[str, Indices | None] = {}
    labels = _labels(task, rule)
    for annotation in _newest(task.annotations):
        try:
            painted[annotation.annotator] = _paint(annotation, rule, labels)
        except RegionError as error:
            problems.append(f"annotation {annotation.id}: {error.message}")
    if not painted:
        return None, problems
    return TaskMask(_majority(list(painted.values())), tuple(labels), tuple(painted)), problems


def _newest(annotations: Iterable[Annotation]) -> list[Annotation]:
    """Return each annotator's latest annotation, unless that one is skipped or untouched."""
    newest: dict[str, Annotation] = {}
    for each in sorted(annotations, key=lambda annotation: annotation.updated_at):
        newest[each.annotator] = each
    return [each for each in newest.values() if not each.skipped and not _is_untouched(each)]


def _is_untouched(annotation: Annotation) -> bool:
    """Return whether it was created from a prediction by a bulk action, without work."""
    origins = {entry.get("origin") for entry in annotation.result}
    return annotation.lead_time is None and origins == {"prediction"}


def _labels(task: AnnotatedTask, rule: MaskRule) -> list[str]:
    found = (
        label
        for annotation in _newest(task.annotations)
        for region in annotation.parsed.regions
        if rule.takes(region)
        for label in region.labels[:1]
    )
    return list(dict.fromkeys(found))[:MOST_LABELS]


def _paint(annotation: Annotation, rule: MaskRule, labels: Sequence[str]) -> Indices | None:
    """Paint the regions, the largest first, so that a dress does not hide its belt.

    Raises:
        RegionError: The pixels of a region are unknown, or regions have different image sizes.
    """
    regions = [region for region in annotation.parsed.regions if rule.takes(region)]
    # A rotated view does not rotate the mask.
    rles = [(region_rle(replace(region, rotation=0)), region) for region in regions]
    if not rles:
        return None
    sizes = {(rle.height, rle.width) for rle, _ in rles}
    if len(sizes) > 1:
        raise RegionError("its regions are of images of several sizes")
    indices = np.full(sizes.pop(), UNLABELLED, np.uint8)
    for rle, region in sorted(rles, key=lambda pair: -pair[0].area):
        known = region.labels[:1] and region.labels[0] in labels
        indices[rle.mask] = labels.index(region.labels[0]) + 1 if known else IGNORE
    return indices


def _majority(painted: Sequence[Indices | None]) -> Indices | None:
    """Return the index that more than half agree on at each pixel, else ``IGNORE``."""
    shape = next((each.shape for each in painted if each is not None), None)
    if shape is None:
        return None
    empty = np.full(shape, UNLABELLED, np.uint8)
    votes = [empty if each is None else each for each in painted]
    votes = [each for each in votes if each.shape == shape]
    result = np.full(shape, IGNORE, np.uint8)
    for index in set[int]().union(*(np.unique(each).tolist() for each in votes)):
        agreeing = np.sum([each == index for each in votes], axis=0)
        result[2 * agreeing > len(votes)] = index
    return result
