import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ml_backend.labelstudio.brush_rle import decode_rle, encode_rle

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


@given(masks)
def test_a_mask_survives_the_round_trip(mask: np.ndarray) -> None:
    assert np.array_equal(decode_rle(encode_rle(mask), *mask.shape), mask)


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
