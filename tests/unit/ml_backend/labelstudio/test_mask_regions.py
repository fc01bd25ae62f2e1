import cv2
import numpy as np
import pytest

from ml_backend.labelstudio.brush_rle import decode_rle
from ml_backend.labelstudio.label_config import Control, Label
from ml_backend.labelstudio.mask_regions import drop_specks, mask_regions


def control(kind: str) -> Control:
    return Control("c", kind, "image", (Label("dress"),))


def two_parts() -> np.ndarray:
    mask = np.zeros((100, 200), np.uint8)
    cv2.rectangle(mask, (20, 10), (59, 49), 1, -1)
    cv2.circle(mask, (150, 60), 20, 1, -1)
    return mask.astype(bool)


def test_a_brush_region_holds_the_mask_and_its_size() -> None:
    (region,) = mask_regions(two_parts(), control("brushlabels"), "dress", 0.5)
    assert (region.original_width, region.original_height) == (200, 100)
    assert (region.from_name, region.to_name, region.type) == ("c", "image", "brushlabels")
    assert region.value["brushlabels"] == ["dress"]
    assert np.array_equal(decode_rle(region.value["rle"], 100, 200), two_parts())


def test_polygons_follow_each_part_closely() -> None:
    regions = mask_regions(two_parts(), control("polygonlabels"), "dress", 0.5)
    drawn = np.zeros((100, 200), np.uint8)
    for region in regions:
        points = np.array(region.value["points"]) * [2, 1] - 0.5
        cv2.fillPoly(drawn, [points.round().astype(np.int32)], 1)
    overlap = (drawn.astype(bool) & two_parts()).sum() / (drawn.astype(bool) | two_parts()).sum()
    assert len(regions) == 2
    assert overlap > 0.96


def test_a_box_goes_around_everything() -> None:
    (region,) = mask_regions(two_parts(), control("rectanglelabels"), "dress", 0.5)
    value = region.value
    assert (value["x"], value["y"]) == (10, 10)
    assert (value["x"] + value["width"], value["y"] + value["height"]) == pytest.approx((85.5, 81))


@pytest.mark.parametrize("kind", ["brushlabels", "polygonlabels", "rectanglelabels"])
def test_an_empty_mask_is_no_region(kind: str) -> None:
    assert mask_regions(np.zeros((5, 5), bool), control(kind), "dress", 0.5) == []


def test_region_ids_differ() -> None:
    ids = {mask_regions(two_parts(), control("brushlabels"), "dress", 1)[0].id for _ in range(50)}
    assert len(ids) == 50


def test_specks_go_and_parts_stay() -> None:
    mask = two_parts()
    speckled = mask.copy()
    speckled[90, 5:9] = True
    assert np.array_equal(drop_specks(speckled, 10), mask)
    assert drop_specks(mask, 1_000_000).sum() == 0
    assert drop_specks(np.zeros((3, 3), bool), 1).sum() == 0
