"""Brush RLE compared with Label Studio's SDK, image decoding compared with Pillow."""

import io
from collections.abc import Iterator

import numpy as np
from label_studio_sdk.converter import brush
from PIL import Image

from benchmarks.measure import Figure, in_turns
from benchmarks.studio import jpeg
from ml_backend.images.decode import decode
from ml_backend.labelstudio.brush_rle import decode_rle, encode_rle
from synthetic.people import draw_figure

SIZES = ((1500, 1000, 7), (4000, 3000, 3))
"""Height, width and turns of each measurement."""

RLE_GOAL = 4
MOST_PIXELS = 100_000_000


def measure() -> Iterator[Figure]:
    """Measure encoding and decoding on drawn figures."""
    for height, width, turns in SIZES:
        yield from _rle(height, width, turns)
    for height, width, turns in SIZES:
        yield _decoding(height, width, turns)


def _rle(height: int, width: int, turns: int) -> Iterator[Figure]:
    masks = draw_figure(0, height, width).masks.values()
    mask = max(masks, key=lambda each: int(each.sum()))
    picture = mask.astype(np.uint8) * 255
    rle = encode_rle(mask)
    yield in_turns(
        lambda _: encode_rle(mask), lambda _: brush.mask2rle(picture), turns, warm_up=0
    ).faster(f"RLE encode {width} x {height}", "Label Studio's SDK", RLE_GOAL)
    yield in_turns(
        lambda _: decode_rle(rle, height, width), lambda _: brush.decode_rle(rle), turns, warm_up=0
    ).faster(f"RLE decode {width} x {height}", "Label Studio's SDK", RLE_GOAL)


def _decoding(height: int, width: int, turns: int) -> Figure:
    file = jpeg(0, height, width)
    return in_turns(
        lambda _: decode(file, MOST_PIXELS),
        lambda _: np.asarray(Image.open(io.BytesIO(file)).convert("RGB")),
        turns * 2,
    ).times(f"JPEG decode {width} x {height}", "Pillow")
