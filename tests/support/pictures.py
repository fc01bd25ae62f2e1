"""Small pictures to serve and to decode."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image


def encode(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def picture(width: int = 6, height: int = 4, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(noise)


def png(seed: int = 0) -> bytes:
    return encode(picture(seed=seed))


def data_uri(height: int, width: int, seed: int = 0) -> str:
    """A PNG as a ``data:`` URI."""
    content = base64.b64encode(encode(picture(width, height, seed))).decode()
    return f"data:image/png;base64,{content}"
