import base64
import io
import json
import math
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from ml_backend.labelstudio.controls import MaskOptions
from ml_backend.labelstudio.shapes import SHAPES, RegionError, decode_region, shape_of
from tests.support.repository import PAYLOADS

WIDTH, HEIGHT = 200, 100
EXACT = ("brush", "bitmask", "polygon", "vector")


def ellipse(angle: float = 0) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, (90, 50), (45, 25), angle, 0, 360, 1, -1)
    return mask > 0


def encoded(shape: str, mask: np.ndarray) -> dict[str, Any]:
    (value,) = SHAPES[shape].encode(mask, MaskOptions())
    return value


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_value_tells_its_shape_and_is_json(shape: str) -> None:
    value = encoded(shape, ellipse())
    assert shape_of(json.loads(json.dumps(value))) == shape
    assert "float64" not in repr(value)
    assert shape_of({"choices": ["a"]}) == ""


@pytest.mark.parametrize("shape", EXACT)
def test_masks_come_back(shape: str) -> None:
    assert iou(decode_region(encoded(shape, ellipse()), WIDTH, HEIGHT), ellipse()) >= 0.98


@pytest.mark.parametrize("angle", [0, 20, 90, 135])
def test_an_ellipse_is_found_again_turned_or_not(angle: float) -> None:
    value = encoded("ellipse", ellipse(angle))
    assert iou(decode_region(value, WIDTH, HEIGHT), ellipse(angle)) > 0.96


def test_a_box_is_around_the_mask() -> None:
    mask = ellipse()
    box = decode_region(encoded("rectangle", mask), WIDTH, HEIGHT)
    rows, columns = np.nonzero(mask)
    assert box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
    assert box.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


def test_a_point_is_deep_in_the_mask_and_has_no_pixels() -> None:
    value = encoded("keypoint", ellipse())
    assert ellipse()[int(value["y"]), int(value["x"] * 2)]
    assert (value["x"], value["y"]) == pytest.approx((45, 50), abs=8)
    with pytest.raises(RegionError, match="no pixels"):
        decode_region(value, WIDTH, HEIGHT)


def test_a_bitmask_is_small_of_the_images_size_and_only_its_alpha_counts() -> None:
    url = encoded("bitmask", ellipse())["imageDataURL"]
    png = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    image = Image.open(io.BytesIO(png))
    assert image.size == (WIDTH, HEIGHT)
    assert len(png) < 1000
    assert (np.asarray(image.convert("RGBA"))[..., 3] == np.where(ellipse(), 255, 0)).all()


def bitmask(alpha: np.ndarray) -> dict[str, str]:
    """As Label Studio stores an edited mask: soft alpha at strokes."""
    file = io.BytesIO()
    pixels = np.dstack([np.zeros((*alpha.shape, 3), np.uint8), alpha])
    Image.fromarray(pixels, "RGBA").save(file, "PNG")
    return {"imageDataURL": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()}


def test_soft_edges_of_a_bitmask_count_from_half() -> None:
    alpha = np.array([[0, 1, 127, 128, 254, 255]], np.uint8)
    read = decode_region(bitmask(alpha), 6, 1)
    assert read.tolist() == [[False, False, False, True, True, True]]


def test_a_bitmask_of_another_size_is_refused() -> None:
    with pytest.raises(RegionError, match="6 x 1 pixels do not fit 7 x 1"):
        decode_region(bitmask(np.zeros((1, 6), np.uint8)), 7, 1)


def test_an_open_vector_has_no_pixels() -> None:
    value = encoded("vector", ellipse()) | {"closed": False}
    with pytest.raises(RegionError, match="not closed"):
        decode_region(value, WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"points": [[None, 1], [2, 3], [3, 4]]}, "not a number"),
        ({"points": [[1e9, 1], [2, 3], [3, 4]]}, "far outside its image"),
        ({"points": [[1, 1], [2, 3]]}, "2 corners"),
        ({"x": 1, "y": 1, "width": None, "height": 3}, "not a number"),
        ({"x": 1, "y": 1, "width": 2, "height": 3, "rotation": math.inf}, "not a number"),
        ({"rle": "abc"}, "not a list"),
        ({"rle": [999]}, "damaged"),
        ({"imageDataURL": "data:image/png;base64,AAAA"}, "damaged"),
        ({"imageDataURL": 7}, "damaged"),
        ({"vertices": [{"x": 1}], "closed": True}, "no outline"),
        ({"choices": ["a"]}, "shape is not supported"),
    ],
)
def test_a_region_whose_pixels_cannot_be_told_says_why(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(RegionError, match=reason):
        decode_region(value, WIDTH, HEIGHT)


@pytest.mark.parametrize("size", [(0, 5), (10**6, 10**6)])
def test_an_image_of_no_or_of_a_mad_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(RegionError, match=r"size|too many"):
        decode_region({"points": [[1, 1], [2, 3], [3, 1]]}, *size)


@pytest.mark.parametrize("payload", ["bitmask_labels_submitted", "bitmask_onelist_submitted"])
def test_what_label_studio_submits_of_bitmasks_is_told_apart(payload: str) -> None:
    result = json.loads((PAYLOADS / f"{payload}.json").read_text())["result"]
    assert {shape_of(each["value"]) for each in result} == {"bitmask"}
