"""Labels that an image shows: what is likely in a large part of it gets likelier at each place.

A classifier's probabilities are adjusted to how often the classes appear in new data, which these
probabilities tell themselves (Saerens, Latinne and Decaestecker, 2002); here around each place.
"""

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

ROUNDS: Final = 3  # of the estimation
REACH: Final = 0.5  # of the image's longer side: side of the window
LEAST: Final = 0.05  # is added to each label's share, so that small things stay

NOTHING: Final = np.float32(1e-9)

Floats = npt.NDArray[np.float32]


def adjusted(chances: Floats, shares: Floats) -> Floats:
    """Adjust the probabilities of labels to what an image shows around each place.

    The background keeps its probability, so nothing appears and nothing vanishes.

    Args:
        chances: Probabilities (C, h, w); class 0 is the background.
        shares: Shares (C,) of the classes among the samples that the classifier was fitted to.

    Returns:
        Probabilities (C, h, w) float32.
    """
    before, usual = chances[1:], shares[1:] / shares[1:].sum()
    total = before.sum(0)
    around = np.maximum(_around(total), NOTHING)
    after = before
    for _ in range(ROUNDS):
        shown = np.stack([_around(plane) for plane in after]) / around
        after = before * (shown + LEAST) / (usual[:, None, None] + LEAST)
        after *= total / np.maximum(after.sum(0), NOTHING)
    return np.concatenate([chances[:1], after])


def _around(plane: Floats) -> Floats:
    """Average an (h, w) plane in a window around each place; zeros surround the image."""
    side = 2 * max(1, round(REACH * max(plane.shape) / 2)) + 1
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_CONSTANT), np.float32)
