"""Statistics on arrays: chance-corrected agreement of choices, overlap of masks."""

import math
from itertools import combinations

import cv2
import krippendorff
import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int_]
"""(raters, images) integers: code of each rater's answer, from 0; -1: no answer."""

Mask = npt.NDArray[np.bool_]

MISSING = -1

BOUNDARY_TOLERANCE = 0.008
"""Fraction of the image's diagonal, as in the DAVIS benchmark."""


def cohen_kappa(codes: Codes) -> float | None:
    """Return the mean Cohen's kappa over pairs of raters, weighted by images in common.

    Returns:
        -1..1; None if undefined: no images in common, or a single value in all.
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
        first: Values of the first rater, (images,).
        second: Values of the second rater, (images,).
    """
    values = np.union1d(first, second)[:, np.newaxis]
    expected = (first == values).mean(axis=1) @ (second == values).mean(axis=1)
    return float(((first == second).mean() - expected) / (1 - expected))


def krippendorff_alpha(codes: Codes) -> float | None:
    """Return Krippendorff's alpha for nominal values; missing answers are allowed.

    Returns:
        At most 1; None if undefined, as for ``cohen_kappa``.
    """
    shared = codes[:, (codes != MISSING).sum(axis=0) > 1]
    values = np.unique(shared[shared != MISSING])
    if len(values) < 2:
        return None
    counts = np.stack([(shared == value).sum(axis=0) for value in values], axis=1)
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def boundary_f(first: Mask, second: Mask) -> float:
    """Return the boundary F measure: F1 of the fractions of outline near the other's.

    Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation,
    CVPR 2016. Near means within ``BOUNDARY_TOLERANCE``, at least one pixel, Euclidean.

    Args:
        first: Mask (H, W) bool.
        second: Mask (H, W) bool of the same size.

    Returns:
        0..1; 1 for two empty masks, 0 if only one is empty.
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
    """Return the pixels of a mask that border its outside or the image's edge."""
    padded = np.pad(mask, 1).view(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    outline: Mask = padded.view(bool) & ~cv2.erode(padded, cross).view(bool)
    return outline


def _share_near(outline: Mask, other: Mask, near: int) -> float:
    distance = cv2.distanceTransform((~other).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[outline] <= near).mean())
