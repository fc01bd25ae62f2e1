"""Masks into regions of whichever control the label config has for them."""

import uuid
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ml_backend.labelstudio.brush_rle import encode_rle
from ml_backend.labelstudio.label_config import Control
from ml_backend.labelstudio.schemas import Region

Mask = npt.NDArray[np.bool_]

_POLYGON_TOLERANCE = 1.5
"""Pixels by which a polygon may stray from the mask's outline."""


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


def mask_regions(mask: Mask, control: Control, label: str, score: float) -> list[Region]:
    """Express one mask as regions of a control.

    Args:
        mask: (H, W) bool at the image's size after EXIF orientation.
        control: Brush (one region), polygons (one region for each connected part; holes are lost,
            Label Studio's polygons have none) or boxes (one region around all).
        label: Value of one of the control's labels.
        score: 0..1.

    Returns:
        Nothing for an empty mask.
    """
    if not mask.any():
        return []
    height, width = mask.shape
    return [
        Region(
            id=uuid.uuid4().hex[:10],
            from_name=control.name,
            to_name=control.to_name,
            type=control.type,
            value=value | {control.type: [label]},
            original_width=width,
            original_height=height,
            score=score,
        )
        for value in _values(mask, control.type)
    ]


def _values(mask: Mask, control_type: str) -> list[dict[str, Any]]:
    if control_type == "brushlabels":
        return [{"format": "rle", "rle": encode_rle(mask)}]
    if control_type == "polygonlabels":
        return [{"points": points, "closed": True} for points in _polygons(mask)]
    if control_type == "rectanglelabels":
        return [_rectangle(mask)]
    raise ValueError(f"{control_type} holds no masks")


def _polygons(mask: Mask) -> list[list[list[float]]]:
    height, width = mask.shape
    outlines, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    simple = (cv2.approxPolyDP(outline, _POLYGON_TOLERANCE, closed=True) for outline in outlines)
    # Outlines run through pixel centres; percentages count from the pixel's corner.
    scale = np.array([100 / width, 100 / height])
    return [((o[:, 0] + 0.5) * scale).tolist() for o in simple if len(o) > 2]


def _rectangle(mask: Mask) -> dict[str, Any]:
    height, width = mask.shape
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    return {
        "x": 100 * float(left) / width,
        "y": 100 * float(top) / height,
        "width": 100 * float(right - left) / width,
        "height": 100 * float(bottom - top) / height,
        "rotation": 0,
    }
