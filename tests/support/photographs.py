"""Pictures with a known answer."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from synthetic.people import Figure
from tests.support.labeling_page import Spot

Mask = npt.NDArray[np.bool_]

_ORIENTATION = 0x0112
_TURN_RIGHT_TO_SHOW = 6


def save_plain(path: Path, figure: Figure) -> None:
    Image.fromarray(figure.image).save(path, quality=95)


def save_rotated(path: Path, figure: Figure) -> None:
    """Store the picture lying on its side, with the EXIF orientation that sets it upright."""
    exif = Image.Exif()
    exif[_ORIENTATION] = _TURN_RIGHT_TO_SHOW
    Image.fromarray(np.rot90(figure.image)).save(path, quality=95, exif=exif)


def box_around(mask: Mask, margin: float = 0.01) -> tuple[Spot, Spot]:
    """Opposite corners of a box that a labeler would drag around an object."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (
        Spot(columns[0] / width - margin, rows[0] / height - margin),
        Spot((columns[-1] + 1) / width + margin, (rows[-1] + 1) / height + margin),
    )


def left_half(mask: Mask) -> Mask:
    """The part of an object that is left of its middle."""
    columns = np.flatnonzero(mask.any(axis=0))
    left: Mask = mask & (np.arange(mask.shape[1]) < columns.mean())
    return left


def spots_inside(mask: Mask, *bands: tuple[float, float]) -> list[Spot]:
    """The spot farthest from the object's edge in each band of its height (0 top, 1 bottom)."""
    height, width = mask.shape
    rows = np.flatnonzero(mask.any(axis=1))
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    spots = []
    for band in bands:
        top, bottom = (int(np.quantile(rows, share)) for share in band)
        row, column = np.unravel_index(depth[top:bottom].argmax(), (bottom - top, width))
        spots.append(Spot((column + 0.5) / width, (top + row + 0.5) / height))
    return spots


def iou(first: Mask, second: Mask) -> float:
    """Intersection over union."""
    return float((first & second).sum() / (first | second).sum())
