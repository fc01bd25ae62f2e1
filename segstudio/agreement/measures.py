"""The numbers: chance-corrected agreement of choices, overlap of masks. Arrays in, numbers out."""

import math
from itertools import combinations

import cv2
import krippendorff
import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int_]
"""(raters, images): what each rater said of each image, as a number from 0 on; -1: nothing."""

Mask = npt.NDArray[np.bool_]

MISSING = -1

BOUNDARY_TOLERANCE = 0.008
"""Of the image's diagonal, as in the DAVIS benchmark."""


def cohen_kappa(codes: Codes) -> float | None:
    """Mean of Cohen's kappa over pairs of raters, weighted by the images that both rated.

    Returns:
        -1..1; None where it is undefined: no images in common, or one value in all.
    """
    weighted, images = 0.0, 0
    for first, second in combinations(codes, 2):
        both = (first != MISSING) & (second != MISSING)
        a, b = first[both], second[both]
        if len(np.union1d(a, b)) > 1:
            weighted += _kappa(a, b) * len(a)
            images += len(a)
    return weighted / images if images else None


def _kappa(first: Codes, second: Codes) -> float:
    """Compute Cohen's kappa of two raters who use at least two values between them.

    Cohen, A Coefficient of Agreement for Nominal Scales, 1960: (p_o - p_e) / (1 - p_e), with the
    observed agreement p_o and the agreement p_e that independent raters would have.

    Args:
        first: (images,) values that the first rater gave.
        second: (images,) values that the second rater gave.
    """
    values = np.union1d(first, second)[:, np.newaxis]
    expected = (first == values).mean(axis=1) @ (second == values).mean(axis=1)
    return float(((first == second).mean() - expected) / (1 - expected))


def krippendorff_alpha(codes: Codes) -> float | None:
    """Krippendorff's alpha for nominal values; raters may have left images out.

    Returns:
        At most 1; None where it is undefined, as above.
    """
    shared = codes[:, (codes != MISSING).sum(axis=0) > 1]
    values = np.unique(shared[shared != MISSING])
    if len(values) < 2:
        return None
    counts = np.stack([(shared == value).sum(axis=0) for value in values], axis=1)
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def boundary_f(first: Mask, second: Mask) -> float:
    """How well the outlines of two masks match: F of the two shares that lie near the other's.

    Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation,
    CVPR 2016. Near is ``BOUNDARY_TOLERANCE``, at least one pixel; the distance is Euclidean.

    Args:
        first: (H, W) bool.
        second: The same.

    Returns:
        0..1; 1 for two empty masks, 0 where one is empty.
    """
    near = max(math.ceil(BOUNDARY_TOLERANCE * math.hypot(*first.shape)), 1)
    both = first | second
    if not both.any():
        return 1.0
    if not (first.any() and second.any()):
        return 0.0
    rows, columns = (np.flatnonzero(both.any(axis=axis)) for axis in (1, 0))
    crop = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    outlines = _outline(first[crop]), _outline(second[crop])
    precision, recall = _share_near(*outlines, near), _share_near(*outlines[::-1], near)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _outline(mask: Mask) -> Mask:
    """Pixels of a mask beside one that is not, those at the image's edge included."""
    padded = np.pad(mask, 1).view(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    outline: Mask = padded.view(bool) & ~cv2.erode(padded, cross).view(bool)
    return outline


def _share_near(outline: Mask, other: Mask, near: int) -> float:
    distance = cv2.distanceTransform((~other).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[outline] <= near).mean())
