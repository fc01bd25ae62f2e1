"""Guarantees of every answer, whatever the network returns: clicks are obeyed, masks are clean."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sam_backend.models.base import Point
from sam_backend.models.frames import Floats

Bools = npt.NDArray[np.bool_]
REACH = 0.003  # radius around a click that agrees with it, in longer sides of the picture
SPREAD = 0.03  # how far a click that was not understood spreads, in sides of the network's input
CERTAIN = 3.0  # least absolute logit at a click
SPECK = 0.006  # parts and holes below this share of the mask vanish, unless a click is in them


def heed(logits: Floats, points: Sequence[Point]) -> None:
    """Raise or lower logits smoothly around each click that they contradict, in place.

    Args:
        logits: Logits (S, S) of the network.
        points: Points in pixels of ``logits``; those outside are ignored.
    """
    height, width = logits.shape
    for point in points:
        x, y = int(point.x), int(point.y)
        if not (0 <= x < width and 0 <= y < height):
            continue
        wanted = CERTAIN if point.positive else -CERTAIN
        missing = wanted - float(logits[y, x])
        if missing * wanted > 0:
            across = _bell(width, point.x, SPREAD * width)
            down = _bell(height, point.y, SPREAD * height)
            logits += np.float32(missing) * down[:, None] * across


def _bell(size: int, centre: float, spread: float) -> Floats:
    steps = np.arange(size) + 0.5 - centre
    return np.asarray(np.exp(-0.5 * (steps / spread) ** 2), np.float32)


def tidy(logits: Floats, points: Sequence[Point]) -> None:
    """Drop specks and fill pinholes without a click, in place; arguments as ``heed``."""
    least = SPECK * int((logits > 0).sum())
    for positive in (True, False):
        mask = logits > 0 if positive else logits <= 0
        clicked = [point for point in points if point.positive == positive]
        logits[_small_parts(mask, least, clicked)] = -1.0 if positive else 1.0


def _small_parts(mask: Bools, least: float, clicked: Sequence[Point]) -> Bools:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < least
    small[0] = False
    for x, y in _pixels(clicked, mask.shape):
        small[parts[y, x]] = False
    return np.asarray(small[parts])


def obey(mask: Bools, points: Sequence[Point]) -> None:
    """Make the neighborhood of each click agree with it, in place.

    The neighborhood ends halfway to a click of the other kind. Of two clicks on one pixel, the
    later one counts.

    Args:
        mask: Mask (H, W) bool.
        points: Points in pixels of ``mask``, in the order they were made; those outside count at
            the nearest pixel.
    """
    places = _pixels(points, mask.shape)
    largest = max(1.0, REACH * max(mask.shape))
    for (x, y), point in zip(places, points, strict=True):
        reach = largest
        for (a, b), other in zip(places, points, strict=True):
            if other.positive != point.positive:
                reach = min(reach, (np.hypot(x - a, y - b) - 1) / 2)
        drawn = mask.view(np.uint8)
        cv2.circle(drawn, (x, y), max(int(reach), 0), (int(point.positive),), cv2.FILLED)


def keep_direction(answer: Bools, last: Bools, points: Sequence[Point]) -> None:
    """Keep a mask from shrinking after a click that adds, or growing after one that removes.

    Args:
        answer: Mask (H, W) bool, changed in place.
        last: Mask (H, W) bool that was clicked into.
        points: Points in pixels of both masks.
    """
    inside = [bool(last[y, x]) for x, y in _pixels(points, last.shape)]
    adds = any(p.positive and not there for p, there in zip(points, inside, strict=True))
    takes = any(not p.positive and there for p, there in zip(points, inside, strict=True))
    if adds and not takes and answer.sum() <= last.sum():
        answer |= last
    elif takes and not adds and answer.sum() >= last.sum():
        answer &= last


def _pixels(points: Sequence[Point], size: Sequence[int]) -> list[tuple[int, int]]:
    """Return x, y of the pixel of each point, or of the nearest one in a picture of a size."""
    height, width = size
    return [(min(max(int(p.x), 0), width - 1), min(max(int(p.y), 0), height - 1)) for p in points]
