"""Files that pretend to be images, or are stranger images than anybody takes."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from tests.support.asking import jpeg
from tests.support.pictures import encode, picture


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def blank_png(width: int, height: int, *extra: bytes) -> bytes:
    """A black PNG of one bit a pixel: 100 megapixels fit in 12 kB."""
    rows = zlib.compressobj(9)
    line = bytes(1 + (width + 7) // 8)
    pixels = b"".join(rows.compress(line * 100) for _ in range(height // 100))
    pixels += rows.compress(line * (height % 100)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), *((b"zTXt", text) for text in extra), (b"IDAT", pixels)]
    return (
        b"\x89PNG\r\n\x1a\n"
        + b"".join(png_chunk(kind, data) for kind, data in chunks)
        + png_chunk(b"IEND", b"")
    )


def claims(width: int, height: int) -> bytes:
    """A GIF that says it is so large, and is nothing."""
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(3) + b";"


def claims_jpeg(width: int, height: int, *, progressive: bool = False) -> bytes:
    """A JPEG of 64 x 64 pixels that says it is so large."""
    data = bytearray(encode(picture(64, 64), "JPEG", progressive=progressive))
    start = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes so often."""
    data = encode(picture(64, 64), "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[start:end] * count + data[end:]


def animation(format: str, **options: bool) -> bytes:
    frames = [picture(40, 30, seed) for seed in range(5)]
    return encode(frames[0], format, save_all=True, append_images=frames[1:], **options)


def with_exif(exif: bytes) -> bytes:
    return encode(picture(40, 30), "JPEG", exif=b"Exif\0\0" + exif)


GOOD = jpeg()
SIXTEEN_BITS = encode(Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40)), "PNG")
CIRCLE = b"\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1/x"/></svg>'

SHOWN = {
    "1 x 1": encode(Image.new("RGB", (1, 1)), "PNG"),
    "65000 x 1": blank_png(65_000, 1),
    "1 x 65000": blank_png(1, 65_000),
    "65000 x 1 as JPEG": encode(Image.new("RGB", (65_000, 1), "red"), "JPEG"),
    "wrong type": encode(picture(40, 30), "PNG"),
    "JPEG and ZIP": GOOD + b"PK\x05\x06" + bytes(18),
    "JPEG and HTML": GOOD + b"<script>fetch('http://127.0.0.1/')</script>",
    "animated GIF": animation("GIF"),
    "animated WebP": animation("WEBP"),
    "animated PNG": animation("PNG"),
    "AVIF": encode(picture(40, 30), "AVIF"),
    "animated AVIF": animation("AVIF"),
    "animated PNG after another picture": animation("PNG", default_image=True),
    "CMYK": encode(picture(40, 30).convert("CMYK"), "JPEG"),
    "16 bits": SIXTEEN_BITS,
    "palette with transparency": encode(picture(40, 30).convert("P"), "GIF", transparency=3),
    "EXIF is noise": with_exif(bytes(range(256)) * 20),
    "EXIF in a circle": with_exif(b"II*\0\x08\0\0\0" + CIRCLE * 9),
    "EXIF claims 4 GB": with_exif(b"MM\0*\0\0\0\x08\0\x01\x01\x0e\0\x02\xff\xff\xff\xff\0\0\0\x1a"),
}
"""Those that labelers can see, so they get a prediction."""

REFUSED = {
    "nothing": b"",
    "SVG": SVG,
    "SVG in a GIF's name": b"\xef\xbb\xbf  " + SVG,
    "XML bomb": b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 999 + b'">]><svg>' + b"&b;" * 999 + b"</svg>",
    "text": b"not an image",
    "script in a GIF": b"GIF89a/*" + b"=1;alert(1)//" * 10,
    "PDF": b"%PDF-1.7\n" + bytes(100),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9999 9999\n(/etc/passwd) run\n",
    "PSD": b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(99),
    "truncated": GOOD[: len(GOOD) // 2],
    "only a head": GOOD[:20],
    "900 megapixels": blank_png(30_000, 30_000),
    "2,500 megapixels of GIF": claims(50_000, 50_000),
    "0 x 0": claims(0, 0),
    "400 megapixels of progressive JPEG": claims_jpeg(20_000, 20_000, progressive=True),
    "3,600 megapixels of JPEG": claims_jpeg(60_000, 60_000),
    "HEIC": b"\0\0\0\x18ftypheic" + bytes(99),
    "AVIF without a picture": b"\0\0\0\x18ftypavif" + bytes(99),
    "truncated AVIF": encode(picture(40, 30), "AVIF")[:-100],
    "a text of 50 MB": blank_png(40, 30, b"a\0\0" + zlib.compress(bytes(50_000_000))),
    "10,000 scans": many_scans(10_000),
}
"""Those that nobody sees, or that cost too much."""


def largest_allowed() -> bytes:
    """100 megapixels, MAX_IMAGE_MEGAPIXELS as it is by default."""
    return blank_png(10_000, 10_000)


def decoded_size(data: bytes) -> tuple[int, int]:
    """Width and height that the file claims."""
    with Image.open(io.BytesIO(data)) as image:
        return image.size
