"""Masks into regions of whichever control the label config has for them."""

import uuid
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ml_backend.labelstudio.label_config import Control
from ml_backend.labelstudio.schemas import Region
from ml_backend.labelstudio.shapes import SHAPES

Mask = npt.NDArray[np.bool_]


def drop_specks(mask: Mask, smallest: int) -> Mask:
    """Remove the connected parts (8 neighbours) of fewer than ``smallest`` pixels.

    Args:
        mask: (H, W) bool.
        smallest: In pixels.

    Returns:
        (H, W) bool.
    """
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest
    keep[0] = False
    if count - 1 == keep.sum():
        return mask
    kept: Mask = keep[parts]
    return kept


def mask_regions(
    mask: Mask, control: Control, label: str | None, score: float, item: int | None = None
) -> list[Region]:
    """Express one mask as regions of a control.

    Args:
        mask: (H, W) bool at the image's size after EXIF orientation.
        control: One of the label config's ``mask_controls``; polygons and vectors give a region for
            each connected part, all others one.
        label: Value of one of the control's labels; None for a region without a label.
        score: 0..1.
        item: Page of the image, where a tag shows several.

    Returns:
        Results in the order in which Label Studio needs them: a region with labels of a list of its
        own is two results of one id, the geometry first. Nothing for an empty mask.
    """
    if not mask.any():
        return []
    height, width = mask.shape
    results: list[Region] = []
    for value in SHAPES[control.shape].encode(mask, control.options):
        id_ = uuid.uuid4().hex[:10]
        for from_name, type_, content in _results(value, control, label):
            results.append(
                Region(
                    id=id_,
                    from_name=from_name,
                    to_name=control.to_name,
                    type=type_,
                    value=content,
                    original_width=width,
                    original_height=height,
                    item_index=item,
                    score=score,
                )
            )
    return results


def _results(
    value: dict[str, Any], control: Control, label: str | None
) -> list[tuple[str, str, dict[str, Any]]]:
    """The control's name, the type and the value of each result that makes a region."""
    if label is None:
        return [(control.name, control.type, value)]
    if control.has_own_list:
        return [(control.name, control.type, value | {control.type: [label]})]
    return [
        (control.name, control.type, value),
        # With the geometry, as Label Studio submits it: without, its import refuses the prediction.
        (control.labels_from, "labels", value | {"labels": [label]}),
    ]
