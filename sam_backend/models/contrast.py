"""Graph cut along edges and colors of the picture, where the network is uncertain."""

import cv2
import numpy as np
import numpy.typing as npt

from sam_backend.models.frames import Floats, Picture

SIDE = 128  # pixels; side of the picture that is cut
SURE = 3.0  # absolute logit beyond which the network alone decides
WEIGHT = 0.5  # of the cut in the answer
STEEP = 4.0  # logit of the cut, away from its edge
LEAST = 40  # pixels of object and of background that colors are learned from


def with_contrast(picture: Picture, logits: Floats) -> Floats:
    """Return a network's logits, moved towards a graph cut of the picture.

    GrabCut (Rother et al., 2004) learns the colors of object and background from the answer and
    cuts once, along edges; pixels that the network is sure of stay what they are.

    Args:
        picture: Picture (S, S, 3) uint8 RGB.
        logits: Logits (S, S) of the network.

    Returns:
        (S, S) logits: unchanged if there is too little of object or background.
    """
    small = np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    likely = np.asarray(cv2.resize(logits, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)
    labels = np.where(likely > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[likely < -SURE], labels[likely > SURE] = cv2.GC_BGD, cv2.GC_FGD
    inside = int((labels % 2).sum())
    if min(inside, labels.size - inside) < LEAST:
        return logits
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)  # colors start from random centers; a fixed seed keeps answers equal
    cv2.grabCut(small, labels, (0, 0, 0, 0), *models, 1, cv2.GC_INIT_WITH_MASK)
    return (1 - WEIGHT) * logits + WEIGHT * _logits(labels % 2, logits.shape[0])


def _logits(mask: npt.NDArray[np.uint8], side: int) -> Floats:
    """Return (side, side) logits of a small mask, smooth across its edge."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    large = cv2.resize(soft, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray((large - 0.5) * 2 * STEEP, np.float32)
