"""Encoded bytes to one RGB array, with Pillow."""

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from ml_backend.errors import ImageDecodeError
from ml_backend.images.pixel_budget import PixelBudget

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
BROWSERS_TURN = {"JPEG", "MPO", "PNG"}
"""Formats whose EXIF orientation browsers apply (measured in Chromium 156: WebP is not turned, and
orientation in XMP is ignored). Masks must fit what the labeler sees. Pillow itself turns TIFF."""

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow is known to raise on damaged files."""

START_OF_SCAN = b"\xff\xda"
MOST_SCANS = 100
"""Progressive JPEGs have about 10, with previews in their metadata a few more."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, max_pixels: int, room: PixelBudget | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image as a browser shows it.

    The first frame of an animation; turned as its EXIF data say; 16-bit and float grey scaled to 8
    bits; transparency on white.

    Args:
        data: A whole file of one of ``FORMATS``; its content decides, not its name.
        max_pixels: The most pixels to decode; checked before any is decoded.
        room: What is decoded has to find room in, as long as anybody holds it.

    Returns:
        (H, W, 3) uint8 RGB, contiguous, not writeable.

    Raises:
        ImageDecodeError: Another format, too many pixels, or damage.
        DeadlineExceededError: There was no room in time.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_pixels(image, max_pixels)
            _check_scans(image, data)
            pixels = _pixels(image) if room is None else _decode_within(image, room)
    except UnidentifiedImageError as error:
        raise ImageDecodeError(
            _describe_content(data), f"use one of {', '.join(FORMATS)}"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageDecodeError(f"the image claims too many pixels: {error}") from error
    except DAMAGE as error:
        raise ImageDecodeError(
            f"the image is damaged or incomplete ({type(error).__name__})",
            "open it in an image editor and save it again",
        ) from error
    pixels.flags.writeable = False
    return pixels


def _pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    image.load()
    return np.asarray(_to_rgb(_upright(image)))


def _decode_within(image: Image.Image, room: PixelBudget) -> npt.NDArray[np.uint8]:
    amount = room.acquire(image.width * image.height)
    try:
        pixels = _pixels(image)
    except BaseException:
        room.release(amount)
        raise
    room.release_with(amount, pixels)
    return pixels


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageDecodeError(
            f"the image has {width} x {height} pixels, more than {max_pixels / 1e6:.3g} million",
            "make it smaller, or raise MAX_IMAGE_MEGAPIXELS",
        )


def _check_scans(image: Image.Image, data: bytes) -> None:
    """Refuse a JPEG that goes over its pixels again and again: a small file, hours of decoding."""
    if image.format in {"JPEG", "MPO"} and data.count(START_OF_SCAN) > MOST_SCANS:
        raise ImageDecodeError(
            f"the JPEG has more than {MOST_SCANS} scans",
            "open it in an image editor and save it again",
        )


def _describe_content(data: bytes) -> str:
    if not data:
        return "the image file is empty"
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return "the file is a web page, SVG or other markup, not an image of pixels"
    return "the file is not an image of a format we accept"


def _upright(image: Image.Image) -> Image.Image:
    turn = TURNS.get(_orientation(image)) if image.format in BROWSERS_TURN else None
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except DAMAGE:  # damaged EXIF data hurt no pixel: show the image as it lies
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = _to_grey(image, white=65535)
    elif image.mode in {"I", "F"}:
        image = _to_grey(image, white=_guess_white(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _guess_white(values: npt.NDArray[np.generic]) -> float:
    """Guess the value of white: 1 (floats only), 255, 65535, or else the largest value."""
    largest = float(np.nan_to_num(values, posinf=0.0).max())
    usual = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
    return next((white for white in usual if largest <= white), largest)


def _to_grey(image: Image.Image, white: float) -> Image.Image:
    """Scale 0..white to 0..255; negative values and NaN become black."""
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=white, neginf=0.0)
    return Image.fromarray(np.rint(values.clip(0, white) * (255 / white)).astype(np.uint8))
