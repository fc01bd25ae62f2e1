"""The pixels and the outline of a region of a result, by ``shapes``."""

from ml_backend.labelstudio.coco_rle import Rle
from ml_backend.labelstudio.outlines import Outline
from ml_backend.labelstudio.results import Region
from ml_backend.labelstudio.shapes import RegionError, decode_outline, decode_region

__all__ = ["RegionError", "region_outline", "region_rle"]


def region_rle(region: Region) -> Rle:
    """Return the pixels of a region.

    Raises:
        RegionError: They are unknown: the brush strokes are damaged, for example.
    """
    return Rle.of_mask(decode_region(region.value, region.width, region.height))


def region_outline(region: Region) -> Outline:
    """Return the corners of a region that is no brush stroke; an ellipse has one for each degree.

    Raises:
        RegionError: It has no such outline.
    """
    return decode_outline(region.value, region.width, region.height)
