"""Turn coarse class probabilities into clean regions with edges along those of the photograph.

The guided filter of He, Sun and Tang (2013) explains each class's probability as a linear function
of the photograph's colors around a pixel, so that it changes where the colors do.
"""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

WORKING_SIDE: Final = 512  # longer side of the picture that edges are sought in, in pixels
RADIUS: Final = 0.015  # of the filter's window, as a fraction of the longer side
SMOOTHNESS: Final = 1e-3  # colour variance below which the filter only smooths
SPECK: Final = 5e-4  # connected parts of a class below this fraction of the picture are dropped


def refine(chances: Floats, image: Pixels) -> Floats:
    """Sharpen class probabilities.

    Args:
        chances: Class probabilities (C, h, w).
        image: Photograph (H, W, 3) uint8 RGB.

    Returns:
        (C, h', w') float32 probabilities at a working size of at most ``WORKING_SIDE``, without
        specks.
    """
    guide = _reduced(image, WORKING_SIDE).astype(np.float32) / np.float32(255)
    return _without_specks(np.clip(_guided(guide, chances), 1e-6, 1))


def _reduced(image: Pixels, side: int) -> Pixels:
    scale = min(1.0, side / max(image.shape[:2]))
    height, width = (max(1, round(length * scale)) for length in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _guided(guide: Floats, chances: Floats) -> Floats:
    """Filter planes by (h, w, 3) colors in 0..1, with the fast method of He and Sun (2015).

    The linear functions are fitted at half of the guide's size.
    """
    height, width = guide.shape[:2]
    half = (max(1, width // 2), max(1, height // 2))
    colours = np.asarray(cv2.resize(guide, half, interpolation=cv2.INTER_AREA), np.float32)
    mean, inverse = _statistics(colours)
    filtered = np.empty((len(chances), height, width), np.float32)
    for number, plane in enumerate(chances):
        level = np.asarray(cv2.resize(plane, half), np.float32)
        average = _blur(level)
        common = _blur(colours * level[..., None]) - mean * average[..., None]
        slope = np.einsum("hwij,hwj->hwi", inverse, common)
        offset = average - (slope * mean).sum(-1)
        slope = cv2.resize(_blur(slope), (width, height))
        offset = cv2.resize(_blur(offset), (width, height))
        filtered[number] = (slope * guide).sum(-1) + offset
    return filtered


def _statistics(colours: Floats) -> tuple[Floats, Floats]:
    """Return (h, w, 3) mean colors and (h, w, 3, 3) inverse covariances of each window."""
    mean = _blur(colours)
    products = colours[..., :, None] * colours[..., None, :]
    squares = _blur(products.reshape(*colours.shape[:2], 9)).reshape(products.shape)
    covariance = squares - mean[..., :, None] * mean[..., None, :]
    inverse = np.linalg.inv(covariance + SMOOTHNESS * np.eye(3, dtype=np.float32))
    return mean, np.asarray(inverse, np.float32)


def _blur(values: Floats) -> Floats:
    """Average the window around each pixel."""
    side = 2 * max(1, round(RADIUS * max(values.shape[:2]))) + 1
    return np.asarray(cv2.blur(values, (side, side)), np.float32)


def _without_specks(chances: Floats) -> Floats:
    """Remove small connected parts from each class except the background."""
    taken = chances.argmax(0)
    smallest = SPECK * taken.size
    for number in range(1, len(chances)):
        mask = (taken == number).astype(np.uint8)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        small = stats[:, cv2.CC_STAT_AREA] < smallest
        small[0] = False
        chances[number][small[parts]] = 0
    return chances
