"""Linear pixel classifier: fitted in seconds, evaluated densely in milliseconds."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from segmentation_backend.learning.features import Features, Floats, Halves

STEPS: Final = 60  # of the minimisation
NEVER: Final = -1e4  # bias of a class that is not to be predicted
IMPORTANCE: Final = 0.4  # exponent of a thing's area in the weight of its places
LEAN: Final = 0.4  # taken from the logit of the background: missing costs more work than excess
CAUTION: Final = 0.9  # part of the learned correction of the garment network that is applied
UNFORESEEN: Final = 0.02  # probability of each label before the garment network is asked


@dataclass(frozen=True, eq=False)
class Samples:
    """Labeled places of photographs.

    Attributes:
        features: Features (N, D) float16.
        labels: Class indices (N,) int64.
        areas: Fractions (N,) float32 of the photograph that the places stand for.
    """

    features: Halves
    labels: npt.NDArray[np.int64]
    areas: Floats

    @classmethod
    def join(cls, parts: Sequence["Samples"]) -> "Samples":
        """Concatenate samples of several photographs."""
        return cls(
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.areas for part in parts]),
        )


@dataclass(frozen=True, eq=False)
class Head:
    """Multinomial logistic regression on features; it may correct the garment network's answer.

    Attributes:
        weights: Weights (C, D) float32 for raw features (standardization is folded in).
        bias: Biases (C,) float32.
        shares: Weighted shares (C,) float32 of the classes among the samples.
        owners: Class of the head for each class of the garment network, whose answer is the last
            level of features; empty if there is no such level.
    """

    weights: Floats
    bias: Floats
    shares: Floats
    owners: tuple[int, ...] = ()

    def logits(self, features: Features) -> Floats:
        """Classify all places of a photograph.

        A linear function of enlarged levels equals the enlarged function of each level, so each
        level is classified at its own size.

        Returns:
            (C, h, w) float32 at the size of the finest level.
        """
        size = max((level.shape[1:] for level in features.levels), key=math.prod)
        total = torch.from_numpy(self.bias)[:, None, None]
        for part in self._parts(features):
            total = total + functional.interpolate(part[None], size=size, mode="bilinear")[0]
        return total.numpy()

    def _parts(self, features: Features) -> Iterator[Tensor]:
        """Classify each level by itself: (C, h, w) logits."""
        levels = [level.astype(np.float32) for level in features.levels]
        if self.owners:
            answer = torch.from_numpy(levels.pop()).permute(1, 2, 0)
            yield _prior(answer, self.owners, len(self.bias)).permute(2, 0, 1)
        blocks = np.split(self.weights, np.cumsum([len(level) for level in levels])[:-1], axis=1)
        for weights, level in zip(blocks, levels, strict=True):
            yield torch.from_numpy(np.tensordot(weights, level, 1))


def fit(samples: Samples, classes: int, decay: Floats, owners: Sequence[int] = ()) -> Head:
    """Fit a head to samples.

    Args:
        samples: Samples of all classes; classes without a sample are never predicted.
        classes: Number of classes, including the background.
        decay: Penalties (D,) of the squared weights in the loss.
        owners: Owners as in the head; if given, the last features are the garment network's answer.
    """
    features = samples.features[:, : len(decay)]
    inputs = torch.ones(len(features), len(decay) + 1)
    inputs[:, :-1] = torch.from_numpy(features)
    standardised = inputs[:, :-1]  # a view: there may be hundreds of megabytes
    mean, deviation = standardised.mean(0), standardised.std(0) + 1e-3
    standardised.sub_(mean).div_(deviation)
    labels = torch.from_numpy(samples.labels)
    prior = torch.zeros(1, classes)
    if owners:
        answer = torch.from_numpy(samples.features[:, len(decay) :].astype(np.float32))
        prior = _prior(answer, owners, classes)
    importance = torch.from_numpy(_importance(samples))
    weights, bias = _minimize(inputs, labels, prior, torch.from_numpy(decay), importance)
    weights = weights / deviation
    bias = bias - weights @ mean
    if owners:
        weights, bias = CAUTION * weights, CAUTION * bias
    bias[0] -= LEAN
    shares = torch.bincount(labels, importance, minlength=classes) / len(labels)
    bias[shares == 0] = NEVER
    return Head(weights.numpy(), bias.numpy(), shares.numpy(), tuple(owners))


def _importance(samples: Samples) -> Floats:
    """Return (N,) weights of mean 1: large things count more, but less than by their area."""
    things = samples.labels > 0
    usual = samples.areas[things].mean() if things.any() else 1.0
    weights = np.where(things, (samples.areas / usual) ** IMPORTANCE, 1)
    return np.asarray(weights / weights.mean(), np.float32)


def _prior(answer: Tensor, owners: Sequence[int], classes: int) -> Tensor:
    """Return the logits of labels before anything is learned.

    Args:
        answer: Logarithms (..., K) of the garment network's probabilities.
        owners: Label that each of its classes belongs to.
        classes: Number of labels, including the background.

    Returns:
        Logarithms (..., ``classes``).
    """
    chances = answer.softmax(-1)
    labels = chances.new_full((*chances.shape[:-1], classes), UNFORESEEN)
    return labels.index_add_(-1, torch.tensor(owners), chances).log()


def _minimize(
    inputs: Tensor, labels: Tensor, prior: Tensor, decay: Tensor, importance: Tensor
) -> tuple[Tensor, Tensor]:
    """Return (C, D) weights and (C,) biases that minimize a penalized cross-entropy.

    Each step minimizes the quadratic bound of the loss with constant curvature (Böhning, 1992),
    so one factorization serves all steps, with Nesterov's momentum.

    Args:
        inputs: Inputs (N, D + 1), the last column 1; changed in place.
        labels: Class indices (N,).
        prior: Logits (N or 1, C) that are added.
        decay: Penalties (D,) of the squared weights.
        importance: Weights (N,) of the samples, of mean 1.
    """
    classes = prior.shape[1]
    penalty = torch.cat([2 * decay, torch.tensor([1e-6])])  # the last is the bias's
    root = (importance / len(inputs)).sqrt()[:, None]
    inputs.mul_(root)  # in place, as there may be hundreds of megabytes
    curvature = 0.5 * (inputs.T @ inputs) + torch.diag(penalty)
    factor = torch.linalg.cholesky(curvature)
    # With classes in rows the products take a third of the time.
    targets = functional.one_hot(labels, classes).float().T
    current = ahead = torch.zeros(classes, inputs.shape[1])
    for step in range(STEPS):
        residuals = (ahead @ inputs.T / root.T + prior.T).softmax(0) - targets
        gradient = (residuals * root.T) @ inputs + penalty * ahead
        following = ahead - torch.cholesky_solve(gradient.T, factor).T
        ahead = following + step / (step + 3) * (following - current)
        current = following
    return current[:, :-1].contiguous(), current[:, -1]
