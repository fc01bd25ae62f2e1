"""Rules that merge several annotators' masks or answers, on arrays."""

from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Masks = npt.NDArray[np.bool_]
"""Masks of one label, (annotators, H, W) bool."""

Mask = npt.NDArray[np.bool_]

_MOST_RATERS = 16
"""Maximum number of annotators for STAPLE, which counts each combination of votes."""

_STEPS = 100
_CLOSE = 1e-7
_SURE = 0.99999


class Method(StrEnum):
    """How to merge masks."""

    MAJORITY = "majority"
    STAPLE = "staple"


def majority(masks: Masks) -> Mask:
    """Return the pixels that more than half of the annotators marked."""
    agreed: Mask = 2 * masks.sum(axis=0) > len(masks)
    return agreed


def staple(masks: Masks) -> Mask:
    """Return the pixels that most likely belong to the object, given each annotator's reliability.

    Expectation maximization over the true mask, and the sensitivity and specificity of each
    annotator: Warfield, Zou and Wells, Simultaneous Truth and Performance Level Estimation, IEEE
    Transactions on Medical Imaging 23(7), 2004. Only the box around all masks is used: more
    background would make all annotators look alike.

    Args:
        masks: Masks (annotators, H, W) bool, at most 16 annotators.
    """
    whole: Mask = np.logical_or.reduce(masks)
    truth = np.zeros(whole.shape, bool)
    if not whole.any():
        return truth
    rows, columns = (np.flatnonzero(whole.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    bits = 1 << np.arange(len(masks))
    patterns = np.tensordot(bits, masks[(slice(None), *box)].astype(np.int64), axes=1)
    truth[box] = _likely(patterns, len(masks))[patterns] > 0.5
    return truth


def _likely(patterns: npt.NDArray[np.int64], raters: int) -> npt.NDArray[np.float64]:
    """Return the probability that a pixel belongs to the object, by combination of votes.

    Args:
        patterns: (H, W) integers whose bit r says whether annotator r marked the pixel.
        raters: Number of annotators.

    Returns:
        Probabilities 0..1, (2 ** raters,).
    """
    counts = np.bincount(patterns.ravel(), minlength=1 << raters).astype(np.float64)
    votes = (np.arange(1 << raters)[:, None] >> np.arange(raters) & 1).astype(bool)
    prior = float((counts @ votes).sum() / (counts.sum() * raters))
    sensitivity = specificity = np.full(raters, _SURE)
    likely = np.zeros(len(counts))
    for _ in range(_STEPS):
        inside = prior * np.where(votes, sensitivity, 1 - sensitivity).prod(axis=1)
        outside = (1 - prior) * np.where(votes, 1 - specificity, specificity).prod(axis=1)
        updated = inside / np.maximum(inside + outside, np.finfo(float).tiny)
        if np.abs(updated - likely).max() < _CLOSE:
            break
        likely = updated
        object_, ground = counts * likely, counts * (1 - likely)
        sensitivity = _clip((object_ @ votes) / max(object_.sum(), 1e-12))
        specificity = _clip((ground @ ~votes) / max(ground.sum(), 1e-12))
    # Annotators worse than chance would invert each other's votes.
    likely[0], likely[-1] = 0, 1
    return likely


def _clip(rates: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.clip(rates, 1 - _SURE, _SURE)


MERGE: dict[Method, Callable[[Masks], Mask]] = {Method.MAJORITY: majority, Method.STAPLE: staple}


def merge_choices(answers: Sequence[Sequence[str]], *, multiple: bool) -> list[str]:
    """Return the choices that annotators agree on.

    Args:
        answers: Answers of each annotator.
        multiple: Whether several may be chosen. If so, each needs more than half of the annotators;
            otherwise the one with the most votes wins, and none in a tie.
    """
    votes = Counter(choice for answer in answers for choice in dict.fromkeys(answer))
    if multiple:
        return [choice for choice, count in votes.items() if 2 * count > len(answers)]
    (first, most), *others = votes.most_common() or [("", 0)]
    return [first] if first and all(count < most for _, count in others) else []


def disagreement_map(masks: Sequence[Masks], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return the disagreement on each pixel, over all labels.

    Args:
        masks: Masks (annotators, H, W) bool of each label.
        height: Image height in pixels.
        width: Image width in pixels.

    Returns:
        (H, W) 0..255: 255 where half of them marked a label, 0 where all or none did.
    """
    worst = np.zeros((height, width))
    for of_label in masks:
        part = of_label.mean(axis=0)
        np.maximum(worst, 4 * part * (1 - part), out=worst)
    return np.rint(255 * worst).astype(np.uint8)
