"""Calibrate scores: a score is the expected IoU of a region."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

STEPS: Final = 200  # of the minimisation
LEAST_SLOPE: Final = 0.2  # scores must rise with certainty
PRIOR: Final = 5.0  # regions that are worth as much as the belief that scores are right already


@dataclass(frozen=True)
class Calibration:
    """A line on the logit scale (Platt, 1999).

    Attributes:
        slope: Slope, above 0.
        offset: Offset added to the scaled logit.
    """

    slope: float = 1.0
    offset: float = 0.0

    def apply(self, scores: Floats) -> Floats:
        """Return the calibrated scores; 0 stays 0."""
        inner = np.clip(scores, 1e-3, 1 - 1e-3)
        stretched = self.slope * np.log(inner / (1 - inner)) + self.offset
        return np.where(scores > 0, 1 / (1 + np.exp(-stretched)), 0).astype(np.float32)


def calibrate(pairs: Sequence[tuple[float, float]]) -> Calibration:
    """Fit a line that brings scores near to the true IoUs; few pairs change little.

    Args:
        pairs: Score and true IoU of regions on images that were not learned from.
    """
    if not pairs:
        return Calibration()
    line = np.array([1.0, 0.0])
    scores, ious = np.array(pairs, np.float64).T
    inner = np.clip(scores, 1e-3, 1 - 1e-3)
    inputs = np.column_stack([np.log(inner / (1 - inner)), np.ones(len(pairs))])
    # The largest curvature of the loss anywhere: plain Newton steps may diverge.
    curvature = 0.25 * inputs.T @ inputs + PRIOR * np.eye(2)
    for _ in range(STEPS):
        predicted = 1 / (1 + np.exp(-inputs @ line))
        gradient = inputs.T @ (predicted - ious) + PRIOR * (line - (1, 0))
        line -= np.linalg.solve(curvature, gradient)
    return Calibration(max(LEAST_SLOPE, float(line[0])), float(line[1]))
