"""Simulate where labelers click next."""

import cv2
import numpy as np
import numpy.typing as npt

from sam_backend.models.base import Point

Bools = npt.NDArray[np.bool_]


def centre_of(mask: Bools) -> tuple[int, int]:
    """Return x, y of the point farthest from the edge of ``mask`` (and of the picture)."""
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), mask.shape)
    return int(x), int(y)


def random_inside(rng: np.random.Generator, mask: Bools) -> tuple[int, int]:
    """Return x, y of a random point in ``mask``, more likely inside than at the edge."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    ys, xs = np.nonzero(depth >= 0.4 * depth.max())
    pick = rng.integers(len(ys))
    return int(xs[pick]), int(ys[pick])


def next_click(
    truth: Bools, answer: Bools, hand: np.random.Generator | None = None
) -> Point | None:
    """Return a click into the largest wrong part: positive where missed, else negative.

    Args:
        truth: True mask (H, W) bool.
        answer: Answered mask (H, W) bool.
        hand: Random generator of the point in the part; None: its middle.

    Returns:
        Click, or None if nothing is wrong.
    """
    missed, excess = _largest(truth & ~answer), _largest(answer & ~truth)
    positive = missed.sum() >= excess.sum()
    wrong = missed if positive else excess
    if not wrong.any():
        return None
    x, y = centre_of(wrong) if hand is None else random_inside(hand, wrong)
    return Point(x + 0.5, y + 0.5, bool(positive))


def _largest(mask: Bools) -> Bools:
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return mask
    return np.asarray(parts == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def iou(truth: Bools, answer: Bools) -> float:
    """Return the intersection over union; 1 when both are empty."""
    union = int((truth | answer).sum())
    return int((truth & answer).sum()) / union if union else 1.0
