"""Class maps as instances: where one class is clearly several things, each is one."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from segmentation_backend.models.base import ClassMap, Instance, Mask

LEAST_PART: Final = 0.25  # of the area of a class's largest part; below, it is a piece of a thing
LEAST_FIGURE: Final = 0.2  # of the area of the largest figure

_LEFT, _TOP = cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP
_WIDTH, _HEIGHT, _AREA = cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA

Numbers = npt.NDArray[np.signedinteger]


def class_instances(
    class_map: ClassMap,
    classes: Sequence[str],
    *,
    countable: Collection[str] = (),
    bodies: Collection[str] = (),
) -> list[Instance]:
    """Return the things of a class map; without further arguments, one for each class.

    Args:
        class_map: Of a photograph.
        classes: Class names, index 0 the background. "Left shoe" and "right shoe" are separate
            things even if they touch.
        countable: Classes that appear more than once on one person or in one scene: their large
            connected parts are things, and a smaller part belongs to the nearest of these.
        bodies: Classes that only people have. Each connected figure that is not background and
            contains some of them is a person with garments of their own; a garment that an arm
            cuts in two is one thing.
    """
    areas = np.bincount(class_map.indices.ravel(), minlength=len(classes))
    figures = _figures(class_map, [classes.index(name) for name in bodies]) if bodies else None
    return [
        Instance.of(mask, index, float(class_map.scores[index]), separate=separate)
        for index in (np.flatnonzero(areas[1:]) + 1).tolist()
        for mask, separate in _things(
            class_map.indices == index, figures, classes[index], countable
        )
    ]


def _things(
    mask: Mask, figures: Numbers | None, name: str, countable: Collection[str]
) -> Iterator[tuple[Mask, bool]]:
    """Split a class's (H, W) mask; tell of each thing whether it is separate."""
    parts = list(_by_figure(mask, figures))
    if name in countable:
        parts = [thing for part in parts for thing in _large_parts(part)]
    separate = len(parts) > 1 or name.casefold().startswith(("left", "right"))
    return ((part, separate) for part in parts)


def _large_parts(mask: Mask) -> Iterator[Mask]:
    """Give each large connected part, with the smaller parts nearest to it."""
    parts, stats, centroids = _connected_parts(mask)
    areas = stats[1:, _AREA]
    large = np.flatnonzero(areas >= LEAST_PART * areas.max()) + 1
    yield from _shared_out(mask, parts, _nearest(stats, centroids, large))


def _figures(class_map: ClassMap, bodies: Sequence[int]) -> Numbers | None:
    """(H, W): the number of the figure that each pixel belongs to; None with one figure or none."""
    parts, stats, centroids = _connected_parts(class_map.indices > 0)
    bare = np.bincount(parts[np.isin(class_map.indices, bodies)], minlength=len(stats)) > 0
    areas = np.where(bare, stats[:, _AREA], 0)
    areas[0] = 0
    large = np.flatnonzero(areas > LEAST_FIGURE * areas.max())
    if len(large) < 2:
        return None
    figures: Numbers = _nearest(stats, centroids, large)[parts]
    return figures


def _connected_parts(mask: Mask) -> tuple[Numbers, Numbers, npt.NDArray[np.float64]]:
    """Number the connected parts (8 neighbours): (H, W) numbers, (N, 5) stats, (N, 2) centroids."""
    found = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return np.asarray(found[1]), np.asarray(found[2]), np.asarray(found[3])


def _by_figure(mask: Mask, figures: Numbers | None) -> Iterator[Mask]:
    if figures is None:
        yield mask
        return
    for number in np.flatnonzero(np.bincount(figures[mask])):
        yield mask & (figures == number)


def _shared_out(mask: Mask, parts: Numbers, owners: Numbers) -> Iterator[Mask]:
    wanted = np.unique(owners[1:])
    if len(wanted) == 1:
        yield mask
        return
    owned = owners[parts]
    for number in wanted:
        yield mask & (owned == number)


def _nearest(stats: Numbers, centroids: npt.NDArray[np.float64], large: Numbers) -> Numbers:
    """For each connected part, the one of ``large`` whose box is nearest to its own.

    Args:
        stats: (N, 5) of OpenCV's connected components; 0 is what is in no part.
        centroids: (N, 2) of the parts, which decide between boxes that touch.
        large: Numbers of the parts to choose from.
    """
    starts = stats[:, None, [_LEFT, _TOP]]
    ends = starts + stats[:, None, [_WIDTH, _HEIGHT]]
    gaps = np.maximum(0, np.maximum(starts - ends[large, 0], starts[large, 0] - ends))
    between = np.linalg.norm(centroids[:, None] - centroids[large], axis=2)
    nearest = large[np.lexsort((between, np.linalg.norm(gaps, axis=2)), axis=1)[:, 0]]
    nearest[large] = large
    nearest[0] = 0
    return np.asarray(nearest, np.int32)
