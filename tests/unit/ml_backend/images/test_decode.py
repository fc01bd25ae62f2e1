"""Every image becomes 8-bit RGB as the browser shows it, or an ImageDecodeError."""

import logging
import random
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from ml_backend.errors import ImageDecodeError
from ml_backend.images.decode import decode, is_reduced, reduced_from
from tests.support.pictures import encode, picture

pytestmark = [  # Pillow tells what it skips
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

ORIENTATION = 0x0112
PLENTY = 10**6

Pixels = npt.NDArray[np.uint8]


def pixels_of(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG", "AVIF"])
def test_each_format_is_decoded(format: str) -> None:
    image = picture(40, 30).convert("L") if format == "GIF" else picture(40, 30)
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 100, "subsampling": 0},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }
    decoded = decode(encode(image, format, **options.get(format, {})), PLENTY)
    difference = np.abs(decoded.astype(int) - pixels_of(image))
    assert decoded.shape == (30, 40, 3)
    assert difference.max() <= (8 if format in {"JPEG", "AVIF"} else 0)


def test_the_array_is_contiguous_and_not_to_be_written_to() -> None:
    decoded = decode(encode(picture()), PLENTY)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert not decoded.flags.writeable


@pytest.mark.parametrize("format", ["ICO", "PPM", "TGA", "PCX", "SGI", "ICNS", "EPS", "PDF"])
def test_no_other_format_is_decoded(format: str) -> None:
    data = encode(picture(64, 64), format)
    with pytest.raises(ImageDecodeError, match="not an image of a format") as caught:
        decode(data, PLENTY)
    assert "JPEG, PNG, WEBP, GIF, BMP, TIFF" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\n <!DOCTYPE html><html></html>", "web page"),
        (b"\xef\xbb\xbf<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>", "markup"),
        (b'{"detail": "not found"}', "not an image"),
        (b"PK\x03\x04", "not an image"),
        (bytes(1000), "not an image"),
    ],
)
def test_what_is_not_an_image_is_said_to_be_what_it_is(data: bytes, said: str) -> None:
    with pytest.raises(ImageDecodeError, match=said):
        decode(data, PLENTY)


# Colours


def test_grey_palette_and_one_bit_become_rgb() -> None:
    for mode in ("L", "P", "1"):
        image = picture().convert(mode)
        assert (decode(encode(image), PLENTY) == pixels_of(image)).all()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled(format: str) -> None:
    values = np.array([[0, 128, 257, 32896, 65407, 65535]], np.uint16)
    decoded = decode(encode(Image.fromarray(values), format), PLENTY)
    assert decoded[0, :, 0].tolist() == [0, 0, 1, 128, 255, 255]
    assert (decoded == decoded[:, :, :1]).all()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(width: int, height: int, bits: int, colours: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def test_16_bit_colour_is_scaled() -> None:
    row = b"\0" + struct.pack(">6H", 65535, 32896, 0, 257, 257, 257)
    data = png_of(2, 1, bits=16, colours=2, rows=row)
    assert decode(data, PLENTY).tolist() == [[[255, 128, 0], [1, 1, 1]]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 128.0, 255.0], [0, 128, 255]),
        ([0.0, 32896.0, 65535.0], [0, 128, 255]),
        ([-5.0, 0.5, float("nan")], [0, 128, 0]),
        ([float("-inf"), 100_000.0, 200_000.0], [0, 128, 255]),
        ([0.0, 0.5, float("inf")], [0, 128, 255]),
        ([0.0, 0.0, 0.0], [0, 0, 0]),
        ([float("nan")] * 3, [0, 0, 0]),
        ([-3.0, -2.0, -1.0], [0, 0, 0]),
    ],
)
def test_float_grey_is_scaled_from_its_range(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert decode(encode(image, "TIFF"), PLENTY)[0, :, 0].tolist() == expected


def test_32_bit_grey_is_scaled_from_its_range() -> None:
    for values in ([0, 128, 255], [0, 32896, 65535], [0, 1_000_000_000, 1_992_187_500]):
        image = Image.fromarray(np.array([values], np.int32))
        assert decode(encode(image, "TIFF"), PLENTY)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_transparency_lies_on_white(format: str) -> None:
    image = Image.new("RGBA", (3, 1))
    image.putdata([(255, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 128)])
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    decoded = decode(encode(image, format, **options), PLENTY)
    assert decoded.tolist() == [[[255, 0, 0], [255, 255, 255], [127, 127, 127]]]


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_colour_lies_on_white(format: str) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    decoded = decode(encode(image, format, transparency=1), PLENTY)
    assert decoded.tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_grey_with_alpha_and_a_transparent_colour_lie_on_white() -> None:
    grey = Image.new("LA", (2, 1))
    grey.putdata([(7, 255), (7, 0)])
    assert decode(encode(grey), PLENTY)[0, :, 0].tolist() == [7, 255]
    colour = Image.new("RGB", (2, 1))
    colour.putdata([(1, 2, 3), (4, 5, 6)])
    decoded = decode(encode(colour, transparency=(4, 5, 6)), PLENTY)
    assert decoded.tolist() == [[[1, 2, 3], [255, 255, 255]]]


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_is_not_inverted(format: str) -> None:
    red = Image.new("RGB", (16, 16), (200, 30, 40))
    data = encode(red.convert("CMYK"), format, **({"quality": 100} if format == "JPEG" else {}))
    assert np.abs(decode(data, PLENTY).astype(int) - (200, 30, 40)).max() <= 3


def test_the_first_frame_of_an_animation_counts() -> None:
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = encode(first, format, save_all=True, append_images=[second], **options)
        assert (decode(data, PLENTY) == (255, 0, 0)).all(), format


def test_the_frame_that_browsers_show_first_counts_and_not_the_picture_for_others() -> None:
    other, first, second = (Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue"))
    animation: dict[str, Any] = {"save_all": True, "append_images": [first, second]}
    data = encode(other, "PNG", default_image=True, **animation)
    assert (decode(data, PLENTY) == (0, 255, 0)).all()
    avif = encode(first, "AVIF", save_all=True, append_images=[second])
    assert np.abs(decode(avif, PLENTY).astype(int) - (0, 255, 0)).max() <= 8


@pytest.mark.parametrize(("bands", "photometric"), [(4, 2), (5, 1), (5, 2), (6, 1), (6, 2)])
def test_of_many_bands_the_first_three_count_and_it_is_said(
    bands: int, photometric: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    values = np.arange(2 * 3 * bands, dtype=np.uint8).reshape(2, 3, bands)
    decoded = decode(tiff_of(values, photometric), PLENTY)
    assert (decoded == values[:, :, :3]).all()
    assert ("the first three are shown" in caplog.text) == (bands > 4)


def tiff_of(values: npt.NDArray[np.uint8], photometric: int) -> bytes:
    """Write an uncompressed TIFF, its bands pixel by pixel."""
    height, width, bands = values.shape
    extra = bands - (3 if photometric == 2 else 1)
    body = values.tobytes()
    shorts = {258: (8,) * bands, 338: (0,) * extra}
    tables, offset = b"", 8 + len(body)
    fields = {256: width, 257: height, 259: 1, 262: photometric, 273: 8, 277: bands, 278: height}
    entries = {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items()}
    entries[279] = struct.pack("<HHII", 279, 4, 1, len(body))
    for tag, numbers in shorts.items():
        packed = struct.pack(f"<{len(numbers)}H", *numbers)
        place = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", offset)
        entries[tag] = struct.pack("<HHI", tag, 3, len(numbers)) + place
        if len(packed) > 4:
            tables, offset = tables + packed, offset + len(packed)
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries))
    start = struct.pack("<2sHI", b"II", 42, offset)
    return start + body + tables + directory + struct.pack("<I", 0)


def test_heic_is_refused_with_the_way_out() -> None:
    for brand in (b"heic", b"mif1"):
        with pytest.raises(ImageDecodeError, match="HEIC") as caught:
            decode(b"\0\0\0\x18ftyp" + brand + bytes(100), PLENTY)
        assert "convert it to JPEG" in caught.value.hint


# Orientation

TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def exif(orientation: Any) -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION] = orientation
    return made


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_exif_orientation_is_applied(format: str, orientation: int) -> None:
    image = picture(48, 32)
    plain = decode(encode(image, format), PLENTY)
    decoded = decode(encode(image, format, exif=exif(orientation)), PLENTY)
    assert (decoded == TURNED[orientation](plain)).all()
    assert decoded.flags.c_contiguous


def test_webp_is_not_turned_for_browsers_do_not_turn_it() -> None:
    assert decode(encode(picture(8, 4), "WEBP", exif=exif(6)), PLENTY).shape == (4, 8, 3)


def test_orientation_in_xmp_is_ignored_for_browsers_ignore_it() -> None:
    xmp = b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    assert decode(encode(picture(8, 4), "JPEG", xmp=xmp), PLENTY).shape == (4, 8, 3)


@pytest.mark.parametrize(
    "damaged", [b"", b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"x" * 1000]
)
def test_damaged_exif_data_do_no_harm(damaged: bytes) -> None:
    for format in ("JPEG", "PNG"):
        assert decode(encode(picture(), format, exif=damaged), PLENTY).shape == (4, 6, 3)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(orientation: int) -> None:
    assert decode(encode(picture(), exif=exif(orientation)), PLENTY).shape == (4, 6, 3)


# Limits and damage


@pytest.mark.parametrize("size", [(1, 1), (65000, 1), (1, 65000)])
def test_odd_shapes_are_images_too(size: tuple[int, int]) -> None:
    for format in ("PNG", "JPEG", "BMP", "TIFF"):
        assert decode(encode(Image.new("RGB", size), format), PLENTY).shape == (*size[::-1], 3)


def test_the_limit_on_pixels_is_exact() -> None:
    data = encode(picture(10, 10))
    assert decode(data, 100).shape == (10, 10, 3)
    with pytest.raises(ImageDecodeError, match="10 x 10 pixels") as caught:
        decode(data, 99)
    assert "MAX_IMAGE_MEGAPIXELS" in caught.value.hint


@pytest.mark.parametrize("side", [10_001, 14_000, 2**31 - 1])
def test_a_bomb_is_refused_before_it_is_decoded(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png_of(side, side, bits=1, colours=0, rows=bytes(10**6))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageDecodeError, match="pixels"):
        decode(bomb, 100_000_000)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(format: str, part: float) -> None:
    data = encode(picture(64, 64), format)
    with pytest.raises(ImageDecodeError):
        decode(data[: int(len(data) * part)], PLENTY)


def test_the_content_decides_not_what_follows_or_how_it_is_called() -> None:
    data = encode(picture())
    for tail in (b"<script>alert(1)</script>", b"PK\x05\x06" + bytes(18), b"GIF89a"):
        assert decode(data + tail, PLENTY).shape == (4, 6, 3)


SAMPLES = [
    encode(picture(16, 16), exif=exif(6)),
    encode(picture(16, 16), "JPEG", exif=exif(6)),
    encode(picture(16, 16), "WEBP"),
    encode(picture(16, 16), "WEBP", lossless=True),
    encode(picture(16, 16), "GIF"),
    encode(picture(16, 16), "BMP"),
    encode(picture(16, 16), "TIFF"),
    encode(picture(16, 16), "TIFF", compression="tiff_lzw"),
    encode(picture(16, 16), "TIFF", compression="jpeg"),
]


@settings(max_examples=400)
@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_damaged_files_are_images_or_the_promised_error(data: bytes, rng: random.Random) -> None:
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        position = rng.randrange(len(damaged))
        damaged[position : position + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
    try:
        decoded = decode(bytes(damaged), 10_000)
    except ImageDecodeError:
        return
    assert decoded.shape[2] == 3
    assert decoded.size <= 30_000


@given(st.binary(max_size=300))
def test_any_bytes_are_an_image_or_the_promised_error(data: bytes) -> None:
    for start in (b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0"):
        with pytest.raises(ImageDecodeError):
            decode(start + data, 100)


# Huge JPEGs


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(("limit", "by"), [(40_000, 2), (10_000, 4), (2_500, 8)])
def test_a_huge_jpeg_is_decoded_reduced_within_the_limit(
    limit: int, by: int, orientation: int
) -> None:
    image = picture(301, 401)
    data = encode(image, "JPEG", exif=exif(orientation))
    height, width = (301, 401) if orientation == 6 else (401, 301)
    decoded = decode(data, limit)
    assert decoded.shape == (-(-height // by), -(-width // by), 3)
    assert reduced_from(data, limit) == (height, width)
    assert is_reduced(decoded.shape[:2], (height, width))
    full = decode(data, PLENTY)
    assert reduced_from(data, PLENTY) is None
    assert abs(full.mean() - decoded.mean()) < 2


@pytest.mark.parametrize("options", [{"progressive": True}, {}])
def test_what_cannot_be_reduced_is_refused(options: dict[str, Any]) -> None:
    data = encode(picture(301, 401), "JPEG", **options)
    limit = 1_000 if not options else 40_000
    assert reduced_from(data, limit) is None
    with pytest.raises(ImageDecodeError, match="301 x 401 pixels, more than") as caught:
        decode(data, limit)
    assert "baseline JPEG" in caught.value.hint


def test_a_jpeg_that_claims_more_than_regions_can_hold_is_refused() -> None:
    data = bytearray(encode(picture(64, 64), "JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(ImageDecodeError, match="pixels"):
        decode(bytes(data), 10**8)
