"""Split class maps into instances where a class is clearly several things."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from segmentation_backend.models.base import ClassMap, Instance, Mask, box_around

LEAST_PART: Final = 0.25  # of the area of a class's largest part; below, it is a piece of a thing
LEAST_FIGURE: Final = 0.2  # of the area of the largest figure
LEAST_HALF: Final = 0.15  # of what is left of a pair where its neck is gone
WIDEST_NECK: Final = 0.95  # of the width of the narrower half; where a pair may be cut
NECK_STEPS: Final = 30

_LEFT, _TOP = cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP
_WIDTH, _HEIGHT, _AREA = cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA

Numbers = npt.NDArray[np.signedinteger]


def class_instances(
    class_map: ClassMap,
    classes: Sequence[str],
    *,
    countable: Collection[str] = (),
    pairs: Collection[str] = (),
    bodies: Collection[str] = (),
) -> list[Instance]:
    """Return the things of a class map; without further arguments, one for each class.

    Args:
        class_map: Class map of a photograph.
        classes: Class names, index 0 the background. "Left shoe" and "right shoe" are separate
            things even if they touch.
        countable: Classes that appear more than once on one person or in one scene: large parts
            whose distance exceeds their width are things, and a smaller part belongs to the nearest
            of these.
        pairs: Classes that a person has at most two of. Touching ones are separated at the
            narrowest place, if there is one.
        bodies: Classes that only people have. Each connected figure that is not background and
            contains some of them is a person with separate garments; a garment that an arm cuts in
            two is one thing.
    """
    figures = _figures(class_map, [classes.index(name) for name in bodies]) if bodies else None
    present = np.flatnonzero(np.bincount(class_map.indices.ravel())[1:]) + 1
    instances = []
    for index in present.tolist():
        name = classes[index]
        whole = Instance.of(class_map.indices == index, index, float(class_map.scores[index]))
        things = _by_figure(whole.crop, None if figures is None else figures[whole.box])
        if name in pairs:
            things = [half for thing in things for half in _halves(thing)]
        elif name in countable:
            things = [part for thing in things for part in _far_parts(thing)]
        separate = len(things) > 1 or name.casefold().startswith(("left", "right"))
        instances += [replace(inside(whole, each), separate=separate) for each in things]
    return instances


def inside(whole: Instance, part: Mask) -> Instance:
    """Return the part of an instance that a mask of its crop's size shows."""
    rows, columns = box_around(part)
    top, left = whole.top + rows.start, whole.left + columns.start
    return replace(whole, crop=part[rows, columns].copy(), top=top, left=left)


def _far_parts(mask: Mask) -> list[Mask]:
    """Split a mask where the distance of large parts exceeds their width."""
    parts, stats, centroids = _connected_parts(mask)
    large = _large(stats)
    owners = _nearest(stats, centroids, large)
    boxes, widths = stats[large], np.sqrt(stats[large, _AREA])
    near = _gaps(boxes, boxes) < np.minimum(widths[:, None], widths)
    reached = np.linalg.matrix_power(near.astype(np.int64), len(large)) > 0
    first_of = np.zeros(len(stats), np.int64)
    first_of[large] = large[reached.argmax(axis=1)]
    return _shared_out(mask, parts, first_of[owners])


def _halves(mask: Mask) -> list[Mask]:
    """Split a pair: its two large parts, or the parts to both sides of its neck."""
    parts, stats, centroids = _connected_parts(mask)
    large = _large(stats)[:2]
    if len(large) == 2:
        return _shared_out(mask, parts, _nearest(stats, centroids, large))
    cores = _cores(mask)
    if cores is None:
        return [mask]
    first = mask & (_distance(~cores[0]) <= _distance(~cores[1]))
    return [first, mask & ~first]


def _cores(mask: Mask) -> tuple[Mask, Mask] | None:
    """Return what is left of both halves of a mask when its outline has moved in far enough."""
    depth = _distance(np.pad(mask, 1))[1:-1, 1:-1]
    for level in np.linspace(0.1, 1, NECK_STEPS) * WIDEST_NECK * depth.max():
        parts, stats, _ = _connected_parts(depth > level)
        areas = stats[1:, _AREA]
        order = np.argsort(-areas)
        if len(order) > 1 and areas[order[1]] >= LEAST_HALF * areas.sum():
            halves = parts == order[0] + 1, parts == order[1] + 1
            if min(depth[half].max() for half in halves) * WIDEST_NECK >= level:
                return halves
    return None


def _distance(mask: Mask) -> npt.NDArray[np.float32]:
    """Return the distance of each pixel of a mask to the nearest one outside, in pixels."""
    return np.asarray(cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, 5), np.float32)


def _connected_parts(mask: Mask) -> tuple[Numbers, Numbers, npt.NDArray[np.float64]]:
    """Label connected parts (8 neighbors): (H, W) numbers, (N, 5) stats, (N, 2) centroids."""
    found = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=8
    )
    return np.asarray(found[1]), np.asarray(found[2]), np.asarray(found[3])


def _figures(class_map: ClassMap, bodies: Sequence[int]) -> Numbers | None:
    """Return (H, W) figure number of each pixel; None with less than two figures."""
    parts, stats, centroids = _connected_parts(class_map.indices > 0)
    shows_body = np.zeros(len(stats), np.bool_)
    for body in bodies:
        shows_body[parts[class_map.indices == body]] = True
    shows_body[0] = False
    areas = np.where(shows_body, stats[:, _AREA], 0)
    large = np.flatnonzero(areas > LEAST_FIGURE * areas.max())
    if len(large) < 2:
        return None
    figures: Numbers = _nearest(stats, centroids, large)[parts]
    return figures


def _by_figure(mask: Mask, figures: Numbers | None) -> list[Mask]:
    return [mask] if figures is None else _shared_out(mask, figures, np.arange(figures.max() + 1))


def _shared_out(mask: Mask, parts: Numbers, owners: Numbers) -> list[Mask]:
    """Split a mask by the owners of its numbered parts."""
    owned = owners[parts]
    found = np.flatnonzero(np.bincount(owned[mask]))
    return [mask] if len(found) == 1 else [mask & (owned == owner) for owner in found]


def _large(stats: Numbers) -> Numbers:
    """Return the numbers of the large parts, the largest first."""
    areas = stats[1:, _AREA]
    order = np.argsort(-areas, kind="stable")
    return np.asarray(order[areas[order] >= LEAST_PART * areas.max()] + 1)


def _nearest(stats: Numbers, centroids: npt.NDArray[np.float64], large: Numbers) -> Numbers:
    """Return for each connected part the one of ``large`` with the nearest box.

    Args:
        stats: Statistics (N, 5) of OpenCV's connected components; row 0 is the background.
        centroids: Centroids (N, 2) of the parts, which decide between touching boxes.
        large: Numbers of the parts to choose from.
    """
    between = np.linalg.norm(centroids[:, None] - centroids[large], axis=2)
    nearest = large[np.lexsort((between, _gaps(stats, stats[large])), axis=1)[:, 0]]
    nearest[large] = large
    nearest[0] = 0
    return np.asarray(nearest)


def _gaps(stats: Numbers, others: Numbers) -> npt.NDArray[np.float64]:
    """Return (N, M) distances in pixels from each box to each of the others; 0 if they overlap."""
    starts = stats[:, None, [_LEFT, _TOP]]
    ends = starts + stats[:, None, [_WIDTH, _HEIGHT]]
    their_starts = others[:, [_LEFT, _TOP]]
    their_ends = their_starts + others[:, [_WIDTH, _HEIGHT]]
    gaps = np.maximum(0, np.maximum(starts - their_ends, their_starts - ends))
    return np.asarray(np.linalg.norm(gaps, axis=2))
