"""Calibrate scores: a score is the expected IoU of a region."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from segmentation_backend.models.base import ClassMap
from training.clicks import iou
from training.data import Picture

LEAST_AREA = 100  # pixels; smaller regions teach nothing


def score_pairs(labels: Picture, answer: ClassMap) -> list[tuple[float, float]]:
    """Return (score, true IoU) of each region of some size in an answer.

    Args:
        labels: True class (H, W) uint8 of each pixel.
        answer: Class map of the same size.
    """
    found = np.flatnonzero(np.bincount(answer.indices.ravel()) >= LEAST_AREA)
    return [
        (float(answer.scores[c]), iou(labels == c, answer.indices == c)) for c in found if c > 0
    ]


def fit(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return slope and offset on the logit scale that fit scores to IoUs (Platt, 1999)."""
    scores, ious = torch.tensor(pairs, dtype=torch.float64).T
    logits = torch.logit(scores, 1e-4)
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=100)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = functional.binary_cross_entropy_with_logits(line[0] * logits + line[1], ious)
        torch.autograd.backward(value)
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    slope, offset = line.tolist()
    return slope, offset
