"""Regions of a reduced image, as those of the whole one."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from ml_backend.labelstudio.brush_rle import encode_enlarged_rle, encode_rle
from ml_backend.labelstudio.controls import MaskOptions
from ml_backend.labelstudio.enlarge import enlarge
from ml_backend.labelstudio.schemas import Region
from ml_backend.labelstudio.shapes import SHAPES, decode_region

Mask = npt.NDArray[np.bool_]


def enlarged(mask: Mask, height: int, width: int) -> Mask:
    rows = np.arange(height) * mask.shape[0] // height
    columns = np.arange(width) * mask.shape[1] // width
    whole: Mask = mask[rows][:, columns]
    return whole


@given(
    mask=arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9)),
    by=st.integers(1, 8),
    less=st.integers(0, 7),
)
def test_an_enlarged_mask_is_encoded_without_being_made(mask: Mask, by: int, less: int) -> None:
    height, width = (max(side * by - less, side) for side in mask.shape)
    expected = enlarged(mask, height, width)
    assert encode_enlarged_rle(mask, height, width) == encode_rle(expected)


def test_a_large_region_costs_its_outline_only() -> None:
    mask = np.zeros((2500, 2500), np.bool_)
    mask[500:2000, 600:1900] = True
    rle = encode_enlarged_rle(mask, 20_000, 20_000)
    assert len(rle) < 600_000
    assert int.from_bytes(bytes(rle[:4]), "big") == 4 * 20_000**2


def region(type_: str, value: dict[str, object]) -> Region:
    return Region(
        id="a",
        from_name="mask",
        to_name="image",
        type=type_,
        value=value,
        original_width=4,
        original_height=3,
        score=0.5,
    )


def test_every_region_gets_the_size_that_browsers_show() -> None:
    mask = np.eye(3, 4, dtype=np.bool_)
    larger = enlarged(mask, 6, 8)
    polygon = region("polygonlabels", {"points": [[1.0, 2.0]], "polygonlabels": ["a"]})
    for name in ("brush", "bitmask"):
        (encoded,) = SHAPES[name].encode(mask, MaskOptions())
        before = region(f"{name}labels", encoded | {f"{name}labels": ["a"]})
        found, same = enlarge([before, polygon], (6, 8))
        assert {(each.original_height, each.original_width) for each in (found, same)} == {(6, 8)}
        assert (decode_region(found.value, 8, 6) == larger).all()
        assert found.value[f"{name}labels"] == ["a"]
        assert same.value == polygon.value
        assert before.original_width == 4
