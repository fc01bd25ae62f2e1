"""Typed wrapper of COCO's run-length encoding in pycocotools."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco  # type: ignore[import-untyped]

Mask = npt.NDArray[np.bool_]
Outline = npt.NDArray[np.float64]
"""Outline of (N, 2) corners as x, y in pixels from the image's top left corner."""


@dataclass(frozen=True)
class Rle:
    """Compressed mask.

    Attributes:
        height: Image height in pixels.
        width: Image width in pixels.
        counts: COCO's compressed run lengths, column by column, as ASCII.
    """

    height: int
    width: int
    counts: str

    @classmethod
    def of_mask(cls, mask: Mask) -> "Rle":
        """Encode a (H, W) bool mask."""
        return cls._of(coco.encode(np.asfortranarray(mask.view(np.uint8))))

    @classmethod
    def of_outline(cls, outline: Outline, height: int, width: int) -> "Rle":
        """Fill an outline of three corners or more: the pixels whose centres are inside."""
        return cls._of(coco.frPyObjects([outline.ravel().tolist()], height, width)[0])

    @classmethod
    def union(cls, parts: Sequence["Rle"]) -> "Rle":
        """Return the union of masks of the same image size."""
        return cls._of(coco.merge([part.coco for part in parts]))

    @property
    def coco(self) -> dict[str, Any]:
        """Return the mask as a ``segmentation`` in COCO's files."""
        return {"size": [self.height, self.width], "counts": self.counts}

    @property
    def mask(self) -> Mask:
        """Return the mask as (H, W) bool."""
        decoded: npt.NDArray[np.uint8] = coco.decode(self.coco)
        return np.ascontiguousarray(decoded).view(np.bool_)

    @property
    def area(self) -> int:
        """Area in pixels."""
        return int(coco.area(self.coco))

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """Return left, top, width and height of the bounding box in pixels; zeros when empty."""
        left, top, width, height = (int(edge) for edge in coco.toBbox(self.coco))
        return left, top, width, height

    def iou(self, other: "Rle") -> float:
        """Return the intersection over union, 0..1, with a mask of the same image size."""
        return float(coco.iou([self.coco], [other.coco], [0])[0, 0])

    @classmethod
    def _of(cls, encoded: dict[str, Any]) -> "Rle":
        height, width = encoded["size"]
        return cls(int(height), int(width), encoded["counts"].decode("ascii"))
