"""OpenCV's GrabCut, the classical baseline of the interactive network."""

import cv2
import numpy as np
import numpy.typing as npt

from sam_backend.models.base import Box


def grab_cut(image: npt.NDArray[np.uint8], box: Box, rounds: int = 5) -> npt.NDArray[np.bool_]:
    """Return (H, W) bool: the object in ``box`` according to GrabCut (Rother et al., 2004).

    Args:
        image: Picture (H, W, 3) uint8 RGB.
        box: Box in whole pixels; everything outside is background.
        rounds: Number of iterations of fitting colors and cutting.
    """
    height, width = image.shape[:2]
    left, top = max(0, int(box.left)), max(0, int(box.top))
    right, bottom = min(width, int(box.right)), min(height, int(box.bottom))
    labels = np.full((height, width), cv2.GC_BGD, np.uint8)
    labels[top:bottom, left:right] = cv2.GC_PR_FGD
    if (labels == cv2.GC_PR_FGD).all():  # it needs some background to compare with
        labels[0], labels[-1], labels[:, 0], labels[:, -1] = (cv2.GC_BGD,) * 4
    cv2.setRNGSeed(1)
    backward, forward = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(image[..., ::-1])
    cv2.grabCut(bgr, labels, (0, 0, 0, 0), backward, forward, rounds, cv2.GC_INIT_WITH_MASK)
    return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))
