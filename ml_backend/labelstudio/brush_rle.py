"""Label Studio's brush RLE: the bit-packed run lengths of an RGBA image with equal channels.

The format is that of the JavaScript package ``@thi.ng/rle-pack`` as Label Studio uses it: a 32-bit
count of values (height * width * 4), 5 bits of word size - 1, four 4-bit run-length sizes - 1, then
blocks, most significant bit first. A block is a flag (1: one value repeated, 0: raw values), a
2-bit index into the sizes, the length - 1 in that many bits, then the value or values.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

_CHANNELS = 4
_WORD_BITS = 8
_SIZES = np.array([3, 4, 8, 16])
_LONGEST = 1 << 16
_COUNT_BITS, _WORD_SIZE_BITS, _SIZE_BITS = 32, 5, 4
_HEADER_BITS = _COUNT_BITS + _WORD_SIZE_BITS + 4 * _SIZE_BITS


def encode_rle(mask: Mask) -> list[int]:
    """Encode one mask for a ``brushlabels`` region.

    Equal to ``label_studio_sdk.converter.brush.mask2rle`` of the same mask as 0 and 255, less the
    zero byte that the SDK adds where the bits already fill the last byte.

    Args:
        mask: (H, W) bool, at least one pixel.

    Returns:
        Bytes as integers 0..255.
    """
    return _encode(*_run_lengths(mask), mask.size)


def encode_enlarged_rle(mask: Mask, height: int, width: int) -> list[int]:
    """Encode a mask scaled up to a larger image, without allocating that image.

    Args:
        mask: (h, w) bool, at least one pixel.
        height: Height of the larger image in pixels.
        width: Width of the larger image in pixels.

    Returns:
        Bytes as integers 0..255, equal to ``encode_rle`` of the enlarged mask.
    """
    rows = np.arange(height) * mask.shape[0] // height
    inside = _edges_within_rows(mask, rows, width)
    first, last = mask[rows, 0], mask[rows, -1]
    between = np.flatnonzero(first[1:] != last[:-1]) + 1
    edges = np.concatenate(([0], np.sort(np.concatenate((inside, between * width)))))
    lengths = np.diff(edges, append=height * width) * _CHANNELS
    values = (np.arange(len(lengths)) % 2 == 0) == mask[0, 0]
    return _encode(lengths, values, height * width)


def _edges_within_rows(
    mask: Mask, rows: npt.NDArray[np.int64], width: int
) -> npt.NDArray[np.int64]:
    """Return the positions in the larger image where a pixel differs from its left neighbor."""
    at_row, at_column = np.nonzero(mask[:, 1:] != mask[:, :-1])
    columns = -(-(at_column + 1) * width // mask.shape[1])
    counts = np.bincount(at_row, minlength=mask.shape[0])
    starts = np.cumsum(counts) - counts
    each = counts[rows]
    within = np.arange(int(each.sum())) - np.repeat(np.cumsum(each) - each, each)
    y = np.repeat(np.arange(len(rows)), each)
    edges: npt.NDArray[np.int64] = columns[np.repeat(starts[rows], each) + within] + y * width
    return edges


def _encode(
    lengths: npt.NDArray[np.int64], values: npt.NDArray[np.bool_], pixels: int
) -> list[int]:
    codes, widths = _blocks(lengths, values)
    starts = _HEADER_BITS + np.concatenate(([0], np.cumsum(widths)))
    bits = np.zeros(int(starts[-1]), np.uint8)
    bits[:_HEADER_BITS] = _header(pixels * _CHANNELS)
    for width in np.unique(widths):
        chosen = widths == width
        shifts = np.arange(width - 1, -1, -1)
        positions = starts[:-1][chosen, None] + np.arange(width)
        bits[positions] = (codes[chosen, None] >> shifts) & 1
    return np.packbits(bits).tolist()


def decode_rle(rle: Sequence[int], height: int, width: int) -> Mask:
    """Decode a ``brushlabels`` region of any encoder; a pixel is set where its alpha is.

    Args:
        rle: Bytes as integers 0..255.
        height: ``original_height`` of the region, in pixels.
        width: ``original_width`` of the region, in pixels.

    Returns:
        (height, width) bool.

    Raises:
        ValueError: The bytes are not brush RLE, are truncated, or belong to another image size.
    """
    data = bytes(rle)
    count = int.from_bytes(data[:4], "big")
    if len(data) * 8 < _HEADER_BITS or count != height * width * _CHANNELS:
        raise ValueError(f"brush RLE of {count} values does not fit {height} x {width} pixels")
    alpha = np.empty(height * width, np.bool_)
    first = 0
    for length, run in _read_blocks(data, count):
        end = first + length
        # Of four equal channels only the last is read: that of pixel i is value 4 i + 3.
        pixels = (
            run if isinstance(run, int) else run[_CHANNELS - 1 - first % _CHANNELS :: _CHANNELS]
        )
        alpha[first // _CHANNELS : end // _CHANNELS] = pixels
        first = end
    return alpha.reshape(height, width)


def _run_lengths(mask: Mask) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return the length, in values, and the pixel of each run of equal pixels."""
    pixels = mask.ravel()
    ends = np.append(np.flatnonzero(pixels[1:] != pixels[:-1]), pixels.size - 1)
    return np.diff(ends, prepend=-1) * _CHANNELS, pixels[ends]


def _blocks(
    lengths: npt.NDArray[np.int64], values: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return code and bit width of each block; a run above 65,536 values takes several."""
    size_index = np.searchsorted([8, 16, 256], lengths)
    pieces = (lengths - 1) // _LONGEST + 1
    last = np.cumsum(pieces) - 1
    block_lengths = np.full(int(pieces.sum()), _LONGEST)
    block_lengths[last] = lengths - (pieces - 1) * _LONGEST
    index = np.repeat(size_index, pieces)
    bytes_ = np.where(np.repeat(values, pieces), 255, 0)
    size_bits = _SIZES[index]
    codes = (((0b100 | index) << size_bits | (block_lengths - 1)) << _WORD_BITS) | bytes_
    return codes, 3 + size_bits + _WORD_BITS


def _header(count: int) -> npt.NDArray[np.uint8]:
    text = f"{count:032b}{_WORD_BITS - 1:05b}" + "".join(f"{size - 1:04b}" for size in _SIZES)
    return np.frombuffer(text.encode(), np.uint8) - ord("0")


def _read_blocks(data: bytes, count: int) -> Iterator[tuple[int, int | npt.NDArray[np.uint8]]]:
    """Yield (length, value or values) of each block until ``count`` values are read."""
    reader = _Bits(data, _COUNT_BITS)
    if reader.read(_WORD_SIZE_BITS) != _WORD_BITS - 1:
        raise ValueError("brush RLE with words other than 8 bits")
    sizes = [reader.read(_SIZE_BITS) + 1 for _ in range(4)]
    while count > 0:
        flags = reader.read(3)
        size = sizes[flags & 3]
        repeated = flags >= 0b100
        code = reader.read(size + _WORD_BITS if repeated else size)
        length = (code >> _WORD_BITS if repeated else code) + 1
        if length > count:
            raise ValueError("brush RLE runs past its own count")
        yield length, code & 0xFF if repeated else reader.read_bytes(length)
        count -= length


class _Bits:
    """Reader of unsigned integers, most significant bit first."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def read(self, width: int) -> int:
        start, self._position = self._position, self._position + width
        first, end = start >> 3, (self._position + 7) >> 3
        if end > len(self._data):
            raise ValueError("brush RLE is cut short")
        window = int.from_bytes(self._data[first:end], "big")
        return (window >> (end * 8 - self._position)) & ((1 << width) - 1)

    def read_bytes(self, count: int) -> npt.NDArray[np.uint8]:
        start, self._position = self._position, self._position + count * 8
        first, end = start >> 3, (self._position + 7) >> 3
        if end > len(self._data):
            raise ValueError("brush RLE is cut short")
        bits = np.unpackbits(np.frombuffer(self._data[first:end], np.uint8))
        return np.packbits(bits[start & 7 : (start & 7) + count * 8])
