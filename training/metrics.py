"""Quality of class maps, from a confusion matrix over ``CLASSES``."""

import numpy as np
import numpy.typing as npt

from training.taxonomy import CLASSES, GARMENT_GROUPS, GROUP_OF_CLASS, GROUPS

Counts = npt.NDArray[np.int64]
FIRST_GARMENT = 3  # background, hair and skin come before


def confusion(truth: npt.NDArray[np.uint8], answer: npt.NDArray[np.uint8]) -> Counts:
    """Return (C, C) pixel counts, rows the truth; pixels whose truth is 255 do not count."""
    known = truth != 255
    joint = truth[known].astype(np.int64) * len(CLASSES) + answer[known]
    return np.bincount(joint, minlength=len(CLASSES) ** 2).reshape(len(CLASSES), len(CLASSES))


def scores(counts: Counts) -> dict[str, float]:
    """Return the figures of the project's goals, each 0..1.

    Returns:
        clothes_iou (clothes against everything else), group_iou (mean over the garment groups that
        appear), group_accuracy and label_accuracy (share of garment pixels given the right one).
    """
    groups = _merge(counts)
    garments = counts[FIRST_GARMENT:]
    inside = garments[:, FIRST_GARMENT:].sum()
    union = garments.sum() + counts[:, FIRST_GARMENT:].sum() - inside
    ious = group_ious(counts)
    return {
        "clothes_iou": float(inside / max(union, 1)),
        "group_iou": float(np.mean(list(ious.values()))) if ious else float("nan"),
        "group_accuracy": float(
            np.trace(groups[FIRST_GARMENT:, FIRST_GARMENT:]) / max(garments.sum(), 1)
        ),
        "label_accuracy": float(np.trace(garments[:, FIRST_GARMENT:]) / max(garments.sum(), 1)),
    }


def group_ious(counts: Counts) -> dict[str, float]:
    """Return the IoU of each garment group that appears in the truth."""
    return _ious(_merge(counts), tuple(GROUPS), GARMENT_GROUPS)


def label_ious(counts: Counts) -> dict[str, float]:
    """Return the IoU of each class that appears in the truth."""
    return _ious(counts, CLASSES, CLASSES)


def _ious(counts: Counts, names: tuple[str, ...], wanted: tuple[str, ...]) -> dict[str, float]:
    right, union = np.diag(counts), counts.sum(0) + counts.sum(1) - np.diag(counts)
    appears = counts.sum(1) > 0
    return {
        name: float(right[i] / union[i])
        for i, name in enumerate(names)
        if name in wanted and appears[i]
    }


def _merge(counts: Counts) -> Counts:
    member = np.eye(len(GROUPS), dtype=np.int64)[list(GROUP_OF_CLASS)]
    return np.asarray(member.T @ counts @ member, np.int64)
