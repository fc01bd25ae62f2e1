"""Pixels and outline of a region of a result, by ``shapes``."""

from ml_backend.labelstudio.coco_rle import Rle
from ml_backend.labelstudio.outlines import Outline
from ml_backend.labelstudio.results import Region
from ml_backend.labelstudio.shapes import RegionError, decode_outline, decode_region

__all__ = ["RegionError", "region_outline", "region_rle"]


def region_rle(region: Region) -> Rle:
    """Return the pixels of a region.

    Raises:
        RegionError: The pixels cannot be determined, for example because of damaged strokes.
    """
    return Rle.of_mask(decode_region(region.value, region.width, region.height))


def region_outline(region: Region) -> Outline:
    """Return the corners of a region that is not a brush stroke; an ellipse has one per degree.

    Raises:
        RegionError: The region has no outline.
    """
    return decode_outline(region.value, region.width, region.height)
