"""Scale regions of an image that was decoded reduced to the full image."""

import base64
import io
from collections.abc import Sequence

from PIL import Image

from ml_backend.labelstudio.brush_rle import decode_rle, encode_enlarged_rle
from ml_backend.labelstudio.schemas import Region


def enlarge(regions: Sequence[Region], full: tuple[int, int]) -> list[Region]:
    """Scale regions to the size that browsers show.

    Args:
        regions: Regions on the reduced image, from ``mask_regions``.
        full: Height and width of the full image in pixels.
    """
    return [_enlarge_region(region, *full) for region in regions]


def _enlarge_region(region: Region, height: int, width: int) -> Region:
    value = dict(region.value)
    if "rle" in value:  # most other shapes are in percent
        mask = decode_rle(value["rle"], region.original_height, region.original_width)
        value["rle"] = encode_enlarged_rle(mask, height, width)
    elif "imageDataURL" in value:
        value["imageDataURL"] = _enlarge_bitmask(value["imageDataURL"], height, width)
    size = {"original_height": height, "original_width": width}
    return region.model_copy(update={"value": value, **size})


def _enlarge_bitmask(url: str, height: int, width: int) -> str:
    start, _, png = url.partition(",")
    with Image.open(io.BytesIO(base64.b64decode(png)), formats=["PNG"]) as image:
        larger = image.resize((width, height), Image.Resampling.NEAREST)
    file = io.BytesIO()
    larger.save(file, "PNG", bits=1, transparency=0)
    return f"{start},{base64.b64encode(file.getvalue()).decode('ascii')}"
