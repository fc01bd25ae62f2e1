"""What the colours of a picture say of an object that a network has found in outline."""

import cv2
import numpy as np
import numpy.typing as npt

from sam_backend.models.frames import Floats, Picture

BINS = 12  # of each axis of CIELAB
SPREAD = 0.7  # bins: how far a colour speaks for those near it
FEW = 2.0  # pixels that a colour must outweigh to say anything
SUREST = 3.0  # logit


def colour_logits(picture: Picture, logits: Floats) -> Floats:
    """How much of each pixel's colour belongs to the object, for all that is known of it.

    The colour model of GrabCut (Rother et al., 2004), as histograms: the object's and everything's,
    each pixel counting as much as the network is sure of it.

    Args:
        picture: (S, S, 3) uint8 RGB.
        logits: (S, S), the network's.

    Returns:
        (S, S) logits within ``SUREST`` of 0.
    """
    bins = _bins(picture)
    chances = np.asarray(1 / (1 + np.exp(-logits)), np.float32)
    inside = _histogram(bins, chances.ravel())
    everything = _histogram(bins, None)
    share = (inside + FEW * chances.mean()) / (everything + FEW)
    evidence = np.clip(np.log(share / (1 - share + 1e-6)), -SUREST, SUREST)
    return np.asarray(evidence.ravel()[bins], np.float32)


def _bins(picture: Picture) -> npt.NDArray[np.intp]:
    """(S, S): the histogram's bin of each pixel."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    light, *tints = cv2.split(cv2.GaussianBlur(lab, (0, 0), 0.8))
    axes = [light, *(cv2.convertScaleAbs(tint, alpha=2, beta=-128) for tint in tints)]
    levels = [axis.astype(np.intp) * BINS // 256 for axis in axes]
    return np.asarray((levels[0] * BINS + levels[1]) * BINS + levels[2])


def _histogram(
    bins: npt.NDArray[np.intp], weights: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """(BINS, BINS, BINS): the weight in each bin, spread to those near it."""
    counts = np.bincount(bins.ravel(), weights, BINS**3).astype(np.float32)
    shaped = counts.reshape(BINS, BINS, BINS)
    return np.asarray(np.einsum("ai,bj,ck,ijk->abc", _BLUR, _BLUR, _BLUR, shaped, optimize=True))


def _blur_matrix() -> Floats:
    """Build (BINS, BINS): a Gaussian cut at 4 sigma; beyond the ends, the last bin is repeated."""
    reach = round(4 * SPREAD)
    offsets = np.arange(-reach, reach + 1)
    gauss = np.exp(-0.5 * (offsets / SPREAD) ** 2)
    columns = np.clip(np.arange(BINS)[:, np.newaxis] + offsets, 0, BINS - 1)
    blur = np.zeros((BINS, BINS))
    np.add.at(blur, (np.arange(BINS)[:, np.newaxis], columns), gauss / gauss.sum())
    return np.asarray(blur, np.float32)


_BLUR = _blur_matrix()
