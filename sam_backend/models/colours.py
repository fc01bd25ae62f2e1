"""Color evidence: how much the colors of a picture belong to a roughly known object."""

import cv2
import numpy as np
import numpy.typing as npt

from sam_backend.models.frames import Floats, Picture

BINS = 12  # of each axis of CIELAB
SPREAD = 0.7  # bins; how far a color speaks for its neighbors
FEW = 2.0  # pixels that a color must outweigh to say anything
SUREST = 3.0  # largest absolute logit


def color_bins(picture: Picture) -> npt.NDArray[np.intp]:
    """Return the histogram bin of each pixel of an (S, S, 3) uint8 RGB picture, as (S, S)."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    light, *tints = cv2.split(cv2.GaussianBlur(lab, (0, 0), 0.8))
    axes = [light, *(cv2.convertScaleAbs(tint, alpha=2, beta=-128) for tint in tints)]
    levels = [axis.astype(np.intp) * BINS // 256 for axis in axes]
    return np.asarray((levels[0] * BINS + levels[1]) * BINS + levels[2])


def color_evidence(bins: npt.NDArray[np.intp], chances: Floats) -> Floats:
    """Return how much each pixel's color belongs to the object.

    The color model of GrabCut (Rother et al., 2004) as histograms of the object and of everything.

    Args:
        bins: Histogram bins (S, S) from ``color_bins``.
        chances: Probabilities (S, S) that a pixel belongs to the object, 0..1.

    Returns:
        (S, S) in -1..1: a clipped logit, divided by ``SUREST``; 0 if the colors are neutral.
    """
    inside = _histogram(bins, chances.ravel())
    everything = _histogram(bins, None)
    share = (inside + FEW * chances.mean()) / (everything + FEW)
    logits = np.log((share + 1e-6) / (1 - share + 1e-6))
    evidence = np.clip(logits / SUREST, -1, 1).astype(np.float32)
    return np.asarray(evidence.ravel()[bins])


def known_chances(prompt: Floats) -> Floats:
    """Return the probability of each pixel given a prompt: last mask, else box, else clicks.

    Args:
        prompt: (4, S, S) or more, 0..1: inside the box, positive and negative clicks, last mask.
    """
    box, positive, negative, last = prompt[:4]
    if last.any():
        base = last
    elif box.any():
        base = BOX_SHARE * box
    else:
        base = np.zeros_like(last)
    return np.asarray(np.maximum(base, positive) * (1 - negative), np.float32)


BOX_SHARE = 0.7  # of a box's pixels are the object's, before anything else is known


def _histogram(bins: npt.NDArray[np.intp], weights: npt.NDArray[np.float32] | None) -> Floats:
    """Return (BINS, BINS, BINS): the weight in each bin, smoothed over its neighbors."""
    counts = np.bincount(bins.ravel(), weights, BINS**3).astype(np.float32)
    spread = counts.reshape(BINS, BINS, BINS)
    for axis in range(3):
        spread = np.moveaxis(np.tensordot(_KERNEL, spread, (1, axis)), 0, axis)
    return np.asarray(spread)


def _gaussian() -> Floats:
    steps = np.arange(BINS)
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / SPREAD) ** 2)
    return np.asarray(weights / weights.sum(0), np.float32)


_KERNEL = _gaussian()
