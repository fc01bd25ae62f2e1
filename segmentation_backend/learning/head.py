"""Linear pixel classifier: fitted in seconds, evaluated densely in milliseconds."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from segmentation_backend.learning.features import Features, Floats, Halves

DECAY: Final = 1e-3  # weight of the squared weights in the loss
STEPS: Final = 60  # of the minimisation
NEVER: Final = -1e4  # bias of a class that is not to be predicted


@dataclass(frozen=True, eq=False)
class Samples:
    """Labeled places of photographs.

    Attributes:
        features: Features (N, D) float16.
        labels: Class indices (N,) int64.
    """

    features: Halves
    labels: npt.NDArray[np.int64]

    @classmethod
    def join(cls, parts: Sequence["Samples"]) -> "Samples":
        """Concatenate samples of several photographs."""
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.labels for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class Head:
    """Multinomial logistic regression on features.

    Attributes:
        weights: Weights (C, D) float32 for raw features (standardization is folded in).
        bias: Biases (C,) float32.
    """

    weights: Floats
    bias: Floats

    def without(self, classes: Iterable[int]) -> "Head":
        """Return a head that never predicts some classes."""
        bias = self.bias.copy()
        bias[list(classes)] = NEVER
        return Head(self.weights, bias)

    def logits(self, features: Features) -> Floats:
        """Classify all places of a photograph.

        A linear function of enlarged levels equals the enlarged function of each level, so each
        level is classified at its own size.

        Returns:
            (C, h, w) float32 at the size of the finest level.
        """
        size = max((level.shape[1:] for level in features.levels), key=math.prod)
        total = torch.from_numpy(self.bias)[:, None, None]
        blocks = np.split(self.weights, np.cumsum(features.widths)[:-1], axis=1)
        for weights, level in zip(blocks, features.levels, strict=True):
            part = torch.from_numpy(np.tensordot(weights, level.astype(np.float32), 1))
            total = total + functional.interpolate(part[None], size=size, mode="bilinear")[0]
        return total.numpy()


def fit(samples: Samples, classes: int) -> Head:
    """Fit a head to samples.

    Args:
        samples: Samples of all classes; classes without a sample are never predicted.
        classes: Number of classes, including the background.
    """
    inputs = torch.ones(len(samples.labels), samples.features.shape[1] + 1)
    inputs[:, :-1] = torch.from_numpy(samples.features)
    features = inputs[:, :-1]  # a view, standardised in place: there may be hundreds of megabytes
    mean, deviation = features.mean(0), features.std(0) + 1e-3
    features.sub_(mean).div_(deviation)
    labels = torch.from_numpy(samples.labels)
    weights, bias = _minimize(inputs, labels, classes)
    weights = weights / deviation
    bias = bias - weights @ mean
    bias[torch.bincount(labels, minlength=classes) == 0] = NEVER
    return Head(weights.numpy(), bias.numpy())


def _minimize(inputs: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Return (C, D) weights and (C,) biases that minimize a penalized cross-entropy.

    Each step minimizes the quadratic bound of the loss with constant curvature (Böhning, 1992),
    so one factorization serves all steps, with Nesterov's momentum.

    Args:
        inputs: Inputs (N, D + 1), the last column 1.
        labels: Class indices (N,).
        classes: Number of classes.
    """
    penalty = torch.full((inputs.shape[1],), 2 * DECAY)
    penalty[-1] = 1e-6  # of the bias
    curvature = 0.5 * (inputs.T @ inputs) / len(inputs) + torch.diag(penalty)
    factor = torch.linalg.cholesky(curvature)
    targets = functional.one_hot(labels, classes).float()
    current = ahead = torch.zeros(inputs.shape[1], classes)
    for step in range(STEPS):
        residuals = (inputs @ ahead).softmax(1) - targets
        gradient = inputs.T @ residuals / len(inputs) + penalty[:, None] * ahead
        following = ahead - torch.cholesky_solve(gradient, factor)
        ahead = following + step / (step + 3) * (following - current)
        current = following
    return current[:-1].T.contiguous(), current[-1]
