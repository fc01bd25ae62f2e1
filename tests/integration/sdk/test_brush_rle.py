"""Brush RLE is that of label-studio-sdk, in both directions."""

import numpy as np
import pytest
from hypothesis import given
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
