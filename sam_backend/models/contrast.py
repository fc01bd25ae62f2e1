"""Edges and colors of the picture itself: a graph cut that starts from the network's mask."""

import cv2
import numpy as np
import numpy.typing as npt

from sam_backend.models.frames import Floats, Picture

SIDE = 128  # pixels; side of the picture that is cut
ROUNDS = 1  # of fitting colors and cutting
SURE = 6.0  # logits beyond which the network decides alone
STEEP = 8.0  # logit of the cut mask, two pixels inside it


def graph_cut(picture: Picture, logits: Floats, fixed: Floats | None = None) -> Floats | None:
    """Return the object by GrabCut (Rother et al., 2004), started from a network's answer.

    Args:
        picture: (S, S, 3) uint8 RGB.
        logits: (S, S), the network's answer.
        fixed: (S, S), above 0 where clicks say object, below 0 where they say background.

    Returns:
        (S, S) logits; None where there is too little of object or background to learn colors from.
    """
    small = np.asarray(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    likely = np.asarray(cv2.resize(logits, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.float32)
    labels = np.where(likely > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[likely < -SURE], labels[likely > SURE] = cv2.GC_BGD, cv2.GC_FGD
    if fixed is not None:
        shown = cv2.resize(fixed, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        labels[shown > 0], labels[shown < 0] = cv2.GC_FGD, cv2.GC_BGD
    inside = int((labels % 2).sum())
    if min(inside, labels.size - inside) < LEAST:
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)  # its colors start from random centers; answers are always the same
    cv2.grabCut(small, labels, (0, 0, 0, 0), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return _logits(labels % 2, logits.shape[0])


LEAST = 40  # pixels of object and of background that the colors are learned from


def _logits(mask: npt.NDArray[np.uint8], side: int) -> Floats:
    """Return (side, side) logits of a small mask, smooth across its edge."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    large = cv2.resize(soft, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray((large - 0.5) * 2 * STEEP, np.float32)
