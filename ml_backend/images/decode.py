"""Decode encoded images to RGB arrays with Pillow."""

import io
import logging
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, JpegImagePlugin, TiffImagePlugin, UnidentifiedImageError

from ml_backend.errors import ImageDecodeError
from ml_backend.images.pixel_budget import PixelBudget

logger = logging.getLogger(__name__)

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
BROWSERS_TURN = {"JPEG", "MPO", "PNG", "AVIF"}
"""Formats whose EXIF orientation browsers apply (measured in Chromium 156: WebP is not rotated, and
XMP orientation is ignored). Masks must match what the labeler sees. Pillow itself rotates TIFF, and
returns the rotation of an AVIF (``irot`` and ``imir``) as EXIF orientation."""

AVIF_TURNS = (b"irot", b"imir")
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")

# TIFFs with five and six bands: Pillow knows only those that claim to begin with RGB.
for _order in (TiffImagePlugin.II, TiffImagePlugin.MM):
    for _bands in (5, 6):
        _key = (_order, 1, (1,), 1, (8,) * _bands, (0,) * (_bands - 1))
        TiffImagePlugin.OPEN_INFO.setdefault(_key, ("RGBX", "RGB" + "X" * (_bands - 3)))

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
"""Exceptions that Pillow raises on damaged files."""

JPEG_START = b"\xff\xd8\xff"
START_OF_SCAN = b"\xff\xda"
MOST_SCANS = 100
"""Progressive JPEGs have about 10 scans, with previews in their metadata a few more."""

REDUCTIONS = (2, 4, 8)
"""Factors by which libjpeg can reduce the sides of an image while decoding."""

MOST_REDUCED_PIXELS = (1 << 30) - 1
"""Maximum pixels of the full image behind a reduced one: the limit of Label Studio's brush
regions."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = {5, 6, 7, 8}


def decode(data: bytes, max_pixels: int, room: PixelBudget | None = None) -> npt.NDArray[np.uint8]:
    """Decode an image as a browser shows it.

    Takes the first frame of an animation or page of a file and applies the EXIF orientation; scales
    16-bit and float grey to 8 bits, puts transparency on white, takes the first three of five or
    six bands.

    Args:
        data: Encoded image in one of ``FORMATS``; recognized by content, not by name.
        max_pixels: Maximum number of pixels, checked before decoding. A larger JPEG is decoded
            at a half, a quarter or an eighth of its sides (see ``reduced_from``).
        room: Memory budget that the decoded image counts against until it is released.

    Returns:
        (H, W, 3) uint8 RGB, contiguous, not writeable.

    Raises:
        ImageDecodeError: The format is not supported, the image is too large or damaged.
        DeadlineExceededError: No decode memory became free in time.
    """
    try:
        with _open(data) as image:
            _reduce(image, data, max_pixels)
            _check_pixels(image, max_pixels)
            _check_scans(image, data)
            _choose_frame(image, data)
            pixels = _pixels(image) if room is None else _decode_within(image, room)
    except UnidentifiedImageError as error:
        raise ImageDecodeError(*_explain_content(data)) from error
    except Image.DecompressionBombError as error:
        raise ImageDecodeError(f"the image claims too many pixels: {error}") from error
    except DAMAGE as error:
        raise ImageDecodeError(
            f"the image is damaged or incomplete ({type(error).__name__})",
            "open it in an image editor and save it again",
        ) from error
    pixels.flags.writeable = False
    return pixels


def reduced_from(data: bytes, max_pixels: int) -> tuple[int, int] | None:
    """Return height and width, as browsers show them, of an image that ``decode`` returns reduced.

    Args:
        data: Encoded image accepted by ``decode``.
        max_pixels: Maximum number of pixels, as passed to ``decode``.

    Returns:
        None if the image is decoded at its full size.
    """
    if not data.startswith(JPEG_START):
        return None
    with _open(data) as image:
        if _reduction(image, data, max_pixels) is None:
            return None
        width, height = image.size
        return (width, height) if _orientation(image) in SIDEWAYS else (height, width)


def is_reduced(size: tuple[int, int], full: tuple[int, int]) -> bool:
    """Return whether an image of the full height and width can have been decoded at this size."""
    return any(size == (-(-full[0] // by), -(-full[1] // by)) for by in REDUCTIONS)


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        if not data.startswith(JPEG_START):
            raise
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))  # no pixel is decoded yet


def _reduce(image: Image.Image, data: bytes, max_pixels: int) -> None:
    by = _reduction(image, data, max_pixels)
    if by is not None:
        image.draft(image.mode, (image.width // by, image.height // by))


def _reduction(image: Image.Image, data: bytes, max_pixels: int) -> int | None:
    """Return the factor to reduce the sides of a JPEG by; None if unnecessary or impossible."""
    pixels = image.width * image.height
    large = max_pixels < pixels <= MOST_REDUCED_PIXELS
    if not large or image.format not in {"JPEG", "MPO"} or not _decodes_row_by_row(data):
        return None
    return next(
        (by for by in REDUCTIONS if -(-image.width // by) * -(-image.height // by) <= max_pixels),
        None,
    )


def _decodes_row_by_row(data: bytes) -> bool:
    """Return whether a JPEG is baseline and has all colours in one scan.

    For all others, libjpeg holds all coefficients in memory, however small the result.
    """
    components, position = 0, 2
    while position + 10 <= len(data) and data[position] == 0xFF:
        marker, length = (
            data[position + 1],
            int.from_bytes(data[position + 2 : position + 4], "big"),
        )
        if marker in {0xC0, 0xC1}:
            components = data[position + 9]
        elif marker == 0xDA:
            return 0 < components == data[position + 4]
        position += 2 + length
    return False


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
            "make it smaller, save it as baseline JPEG, or raise MAX_IMAGE_MEGAPIXELS",
        )


def _check_scans(image: Image.Image, data: bytes) -> None:
    """Refuse a JPEG with very many scans: a small file that takes hours to decode."""
    if image.format in {"JPEG", "MPO"} and data.count(START_OF_SCAN) > MOST_SCANS:
        raise ImageDecodeError(
            f"the JPEG has more than {MOST_SCANS} scans",
            "open it in an image editor and save it again",
        )


def _choose_frame(image: Image.Image, data: bytes) -> None:
    """Select the frame that browsers show first, and log if the image has more bands."""
    if image.format == "PNG" and image.info.get("default_image"):
        image.seek(1)  # an animation whose first picture is a fallback for other programs
    if image.format == "AVIF" and not any(turn in data[:4096] for turn in AVIF_TURNS):
        image.info.pop("exif", None)  # browsers ignore its orientation
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bands = int(image.tag_v2.get(TiffImagePlugin.SAMPLESPERPIXEL, 1))
        if bands > 4:
            logger.info("Of the %d bands of a TIFF, the first three are shown", bands)


def _explain_content(data: bytes) -> tuple[str, str]:
    """Return what the file is if not an image, and a hint."""
    accepted = f"use one of {', '.join(FORMATS)}"
    if not data:
        return "the image file is empty", accepted
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return "the file is a web page, SVG or other markup, not an image of pixels", accepted
    if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        return (
            "the file is HEIC, which most browsers do not show either",
            "convert it to JPEG, for example with: magick photo.heic photo.jpg",
        )
    return "the file is not an image of a format we accept", accepted


def _upright(image: Image.Image) -> Image.Image:
    turn = TURNS.get(_orientation(image)) if image.format in BROWSERS_TURN else None
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except DAMAGE:  # damaged EXIF data do not affect pixels: keep the stored orientation
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
