"""Which labels a picture shows: what is likely in it at all gets likelier at each place.

A classifier's probabilities are adjusted to how often the classes appear in new data, which these
probabilities tell themselves (Saerens, Latinne and Decaestecker, 2002); here for each picture.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

ROUNDS: Final = 3  # of the estimation
LEAST: Final = 0.05  # is added to each label's share, so that small things stay

Floats = npt.NDArray[np.float32]


def adjusted(chances: Floats, shares: Floats) -> Floats:
    """Adjust the probabilities of labels to those that a picture shows.

    The background keeps its probability, so nothing appears and nothing vanishes.

    Args:
        chances: (C, h, w) probabilities; class 0 is the background.
        shares: (C,) of the classes in what the classifier was fitted to.

    Returns:
        (C, h, w) float32 probabilities.
    """
    before, usual = chances[1:], shares[1:] / shares[1:].sum()
    total = before.sum(0)
    after = before
    for _ in range(ROUNDS):
        present = after.mean((1, 2)) / total.mean()
        factors = (present + LEAST) / (usual + LEAST)
        after = before * factors[:, None, None].astype(np.float32)
        after *= total / np.maximum(after.sum(0), np.float32(1e-12))
    return np.concatenate([chances[:1], after])
