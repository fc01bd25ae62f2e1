import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from label_studio_sdk.converter import brush as sdk

from ml_backend.labelstudio.brush_rle import decode_rle, encode_rle

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


def sdk_rle(mask: np.ndarray) -> list[int]:
    """The SDK's encoding, less the surplus byte it adds where the bits fill the last one."""
    rle: list[int] = sdk.mask2rle(mask.astype(np.uint8) * 255)
    bits = 53 + sum(len(code) for code in _sdk_codes(mask))
    return rle[: -(-bits // 8)]


def _sdk_codes(mask: np.ndarray) -> list[str]:
    lengths, _, _ = sdk.base_rle_encode(np.repeat(mask.ravel(), 4))
    codes = []
    for length in lengths:
        width = 14 if length <= 8 else 15 if length <= 16 else 19 if length <= 256 else 27
        codes += ["0" * width] * (-(-int(length) // 65536))
    return codes


@given(masks)
def test_encoding_equals_the_sdks_less_its_surplus_byte(mask: np.ndarray) -> None:
    assert encode_rle(mask) == sdk_rle(mask)


@given(masks)
def test_a_mask_survives_the_round_trip(mask: np.ndarray) -> None:
    assert np.array_equal(decode_rle(encode_rle(mask), *mask.shape), mask)


@given(masks)
def test_the_sdk_reads_what_we_write(mask: np.ndarray) -> None:
    image = sdk.decode_rle(encode_rle(mask)).reshape(*mask.shape, 4)
    assert np.array_equal(image[:, :, 3] > 0, mask)


@given(masks)
def test_we_read_what_the_sdk_writes(mask: np.ndarray) -> None:
    rle = sdk.mask2rle(mask.astype(np.uint8) * 255)
    assert np.array_equal(decode_rle(rle, *mask.shape), mask)


@pytest.mark.parametrize("value", [False, True])
def test_runs_longer_than_a_block_survive(value: bool) -> None:
    mask = np.full((700, 900), value)
    mask[350, 450] = not value
    assert encode_rle(mask) == sdk_rle(mask)
    assert np.array_equal(decode_rle(encode_rle(mask), 700, 900), mask)


def test_raw_blocks_as_the_browser_writes_them_are_read() -> None:
    # 8 values in one raw block (flag 0, size index 0, length - 1 = 7), then a run of 4.
    bits = f"{12:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    values = [9, 9, 9, 0, 5, 5, 5, 200]
    bits += "0" + "00" + "111" + "".join(f"{value:08b}" for value in values)
    bits += "1" + "00" + "011" + f"{255:08b}"
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    assert decode_rle(rle, 1, 3).tolist() == [[False, True, True]]


@given(st.lists(st.integers(0, 255), max_size=60), st.integers(1, 9), st.integers(1, 9))
def test_bytes_that_are_no_rle_are_refused_or_read(rle: list[int], height: int, width: int) -> None:
    header = list((height * width * 4).to_bytes(4, "big"))
    try:
        mask = decode_rle(header + rle, height, width)
    except ValueError:
        return
    assert mask.shape == (height, width)


def test_an_rle_of_another_image_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit 3 x 4"):
        decode_rle(encode_rle(np.ones((3, 5), bool)), 3, 4)


def test_every_cut_of_an_rle_is_refused() -> None:
    mask = np.zeros((40, 40), np.uint8)
    cv2.circle(mask, (20, 20), 12, 1, -1)
    rle = encode_rle(mask.astype(bool))
    for end in range(len(rle) - 1):
        with pytest.raises(ValueError, match="brush RLE"):
            decode_rle(rle[:end], 40, 40)
