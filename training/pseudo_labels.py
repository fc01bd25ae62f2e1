"""Labels for photographs with tags and without masks, from an earlier network.

Tags are reliable, but incomplete: about one in twenty pixels of clothes has a class that is missing
from its photograph's tags. These pixels stay unknown, instead of becoming background.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from segmentation_backend.models.embedded import EmbeddedGarmentModel, Floats
from training.data import Picture
from training.garment_samples import DISPUTED, UNKNOWN, Example
from training.metrics import FIRST_GARMENT
from training.taxonomy import CLASSES

SURE = 0.6  # share of the probability that a label needs
SMALL = 0.2  # part of the masks with a class in which it is smaller than a tag lets it be
RAISED = 64.0  # at most so much is the probability of a tagged class multiplied
AGREED = 0.1  # share of the probability of clothes that the tagged ones need, or it is disputed


def least_shares(labelled: Sequence[Example]) -> npt.NDArray[np.float64]:
    """Return (C,) minimum fraction of pixels that a class has in most masks with it."""
    shares = np.stack(
        [np.bincount(e.labels.ravel(), minlength=len(CLASSES)) / e.labels.size for e in labelled]
    )
    return np.array([np.quantile(row[row > 0], SMALL) if row.any() else 0.0 for row in shares.T])


def pseudo_label(
    model: EmbeddedGarmentModel,
    tagged: Sequence[Example],
    least: npt.NDArray[np.float64],
    kept: Path,
) -> list[Example]:
    """Label tagged photographs, each among its tags; reads earlier results from ``kept``."""
    if not kept.exists():
        found = [
            sure_labels(model.chances([example.photo])[0], example.tags, least)
            for example in tqdm(tagged, "labelling", leave=False)
        ]
        partial = kept.with_suffix(".partial.npy")  # numpy adds .npy where it is missing
        np.save(partial, np.stack(found))
        partial.replace(kept)
    return [
        Example(example.photo, labels, example.tags)
        for example, labels in zip(tagged, np.load(kept), strict=True)
    ]


def sure_labels(
    chances: Floats, tags: npt.NDArray[np.float32], least: npt.NDArray[np.float64]
) -> Picture:
    """Return (h, w) labels from (C, h, w) probabilities, 255 or 254 where uncertain.

    Tags choose among garments. They never turn a garment into background, because tags are
    missing: a twentieth of the clothes would vanish.
    """
    clothes = chances[FIRST_GARMENT:].sum(0)
    allowed = chances * tags[:, None, None]
    tagged = allowed[FIRST_GARMENT:].sum(0)
    allowed[FIRST_GARMENT:] *= clothes / np.maximum(tagged, 1e-6)
    raised = _raised(allowed, tags, least)
    labels = raised.argmax(0).astype(np.uint8)
    around = np.ones((3, 3), np.uint8)
    inner = cv2.dilate(labels, around) == cv2.erode(labels, around)  # a border is never sure
    sure = inner & (raised.max(0) > SURE * raised.sum(0))
    disputed = (clothes > 0.5) & (tagged < AGREED * clothes)
    return np.where(disputed, DISPUTED, np.where(sure, labels, UNKNOWN)).astype(np.uint8)


def _raised(
    allowed: Floats, tags: npt.NDArray[np.float32], least: npt.NDArray[np.float64]
) -> Floats:
    """Return probabilities with those of tagged but hardly found classes raised.

    A tagged class is present: it gets at least its ``least`` fraction of the pixels (after
    Papandreou et al., 2015), unless that takes more than ``RAISED``.
    """
    raised = allowed.copy()
    for number in np.flatnonzero(tags)[1:]:  # all but the background
        others = np.delete(allowed, number, 0).max(0)
        ratio = (others / np.maximum(allowed[number], 1e-6)).ravel()
        wanted = int(least[number] * ratio.size)
        if wanted and (ratio < 1).sum() < wanted:
            # Twice as much, so that the gained pixels are certain.
            raised[number] *= min(2 * np.partition(ratio, wanted)[wanted], RAISED)
    return raised
