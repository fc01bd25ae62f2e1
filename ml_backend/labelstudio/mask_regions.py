"""Convert masks to regions of the controls that the label config has."""

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
    """Remove connected parts (8 neighbors) of fewer than ``smallest`` pixels.

    Args:
        mask: Mask (H, W) bool.
        smallest: Minimum size of a part in pixels.

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
    """Convert one mask to regions of a control.

    Args:
        mask: Mask (H, W) bool at the image's size after EXIF orientation.
        control: One of the label config's ``mask_controls``; polygons and vectors become one region
            for each connected part, all other shapes one region.
        label: Label value of the control; None for a region without a label.
        score: Confidence of the model, 0..1.
        item: Page of the image, if a tag shows several.

    Returns:
        Results in the order that Label Studio needs: if labels come from a separate list, a region
        is two results with one ID, the geometry first. Empty for an empty mask.
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
    """Yield the control's name, type and value of each result that makes up a region."""
    if label is None:
        return [(control.name, control.type, value)]
    if control.has_own_list:
        return [(control.name, control.type, value | {control.type: [label]})]
    return [
        (control.name, control.type, value),
        # With the geometry, as Label Studio submits it: without, its import refuses the prediction.
        (control.labels_from, "labels", value | {"labels": [label]}),
    ]
