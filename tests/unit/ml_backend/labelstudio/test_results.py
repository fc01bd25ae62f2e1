import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.labelstudio.region_pixels import RegionError, region_outline, region_rle
from ml_backend.labelstudio.results import UNLABELED, parse_result
from tests.support.drawn import (
    HEIGHT,
    WIDTH,
    Entry,
    box,
    brush,
    choice,
    point,
    polygon,
    rectangle_mask,
)
from tests.support.repository import PAYLOADS


def test_a_brush_stroke_is_decoded_to_the_pixel() -> None:
    mask = rectangle_mask(3, 5, 20, 10)
    (region,) = parse_result([brush("a", "dress", mask)]).regions
    assert (region.shape, region.labels) == ("brush", ("dress",))
    assert (region_rle(region).mask == mask).all()
    assert region_rle(region).bbox == (3, 5, 20, 10)


def test_a_box_covers_the_pixels_whose_centres_are_in_it() -> None:
    (region,) = parse_result([box("a", "dress", 10, 5, 20, 10)]).regions
    assert (region_rle(region).mask == rectangle_mask(10, 5, 20, 10)).all()


def test_a_turned_box_turns_clockwise_about_its_first_corner() -> None:
    (region,) = parse_result([box("a", "dress", 30, 10, 20, 8, rotation=90)]).regions
    assert (region_rle(region).mask == rectangle_mask(22, 10, 8, 20)).all()


def test_a_turned_box_is_not_sheared_on_an_image_that_is_not_square() -> None:
    (region,) = parse_result([box("a", "dress", 30, 5, 20, 8, rotation=30)]).regions
    corners = region_outline(region)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    assert sides == pytest.approx([20, 8, 20, 8])
    assert corners[1] - corners[0] == pytest.approx(
        [20 * math.cos(math.radians(30)), 20 * math.sin(math.radians(30))]
    )


@given(st.integers(0, WIDTH - 8), st.integers(0, HEIGHT - 8), st.integers(1, 8), st.integers(1, 8))
def test_neighbours_that_share_a_border_share_no_pixel_and_leave_none(
    left: int, top: int, width: int, height: int
) -> None:
    a = polygon("a", "dress", (left, top), (left + width, top), (left, top + height))
    b = polygon(
        "b", "dress", (left + width, top), (left + width, top + height), (left, top + height)
    )
    both = sum(region_rle(region).mask.astype(int) for region in parse_result([a, b]).regions)
    on_the_diagonal = math.gcd(width, height)
    assert np.max(both) <= 2
    assert abs(np.sum(both) - width * height) <= on_the_diagonal + 1


@given(st.lists(st.tuples(st.floats(-50, 150), st.floats(-50, 150)), min_size=3, max_size=12))
def test_any_polygon_has_pixels_of_the_images_size(corners: list[tuple[float, float]]) -> None:
    (region,) = parse_result([polygon("a", "dress", *corners)]).regions
    assert region_rle(region).mask.shape == (HEIGHT, WIDTH)


def test_a_mask_drawn_in_a_turned_view_is_in_the_unturned_frame() -> None:
    sent = json.loads((PAYLOADS / "rotated_view_90_submitted.json").read_text())
    turned = box("a", "hat", 4, 6, 20, 10) | {"image_rotation": 90}
    (region,) = parse_result([turned]).regions
    assert (region_rle(region).mask == rectangle_mask(4, 6, 20, 10)).all()
    assert any(each["image_rotation"] == 90 for each in sent["result"])


def test_an_ellipse_has_the_area_of_one() -> None:
    value = {"x": 50, "y": 50, "radiusX": 25, "radiusY": 40, "ellipselabels": ["dress"]}
    entry = {**box("a", "dress", 0, 0, 1, 1), "type": "ellipselabels", "value": value}
    (region,) = parse_result([entry]).regions
    radii = 0.25 * WIDTH, 0.4 * HEIGHT
    assert region_rle(region).area == pytest.approx(math.pi * radii[0] * radii[1], rel=0.02)


def test_a_region_of_a_brush_and_separate_labels_is_one() -> None:
    drawn = brush("a", "", rectangle_mask(0, 0, 4, 4))
    rle = {name: drawn["value"][name] for name in ("format", "rle")}
    shape = {**drawn, "from_name": "brush", "type": "brush", "value": rle}
    labels = {**drawn, "from_name": "tag", "type": "labels", "value": {**rle, "labels": ["x", "y"]}}
    (region,) = parse_result([shape, labels]).regions
    assert (region.shape, region.labels, region.attributes) == ("brush", ("x", "y"), {})


def test_what_is_asked_about_a_region_is_its_attribute_and_no_answer_about_the_image() -> None:
    drawn = box("a", "dress", 1, 2, 3, 4)
    asked = {**drawn, "from_name": "fabric", "type": "choices"}
    asked["value"] = {**drawn["value"], "choices": ["wool"]}
    del asked["value"]["rectanglelabels"]
    result = [drawn, asked, choice("Sentiment", "Positive")]
    (region,) = parse_result(result).regions
    assert region.attributes == {"fabric": ["wool"]}
    assert parse_result(result).answers == {"box": ["dress"], "Sentiment": ["Positive"]}


def test_answers_of_all_kinds_are_told_as_they_were_given() -> None:
    def entry(name: str, kind: str, **value: object) -> Entry:
        return {"id": name, "from_name": name, "to_name": "image", "type": kind, "value": value}

    result = [
        entry("note", "textarea", text=["one", "two"]),
        entry("stars", "rating", rating=4),
        entry("topic", "taxonomy", taxonomy=[["A", "B"], ["C"]]),
        entry("new", "newkind", something=1),
        brush("r1", "hat", rectangle_mask(0, 0, 2, 2)),
        brush("r2", "hat", rectangle_mask(0, 0, 3, 3)),
        {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right"},
    ]
    assert parse_result(result).answers == {
        "note": ["one", "two"],
        "stars": [4],
        "topic": [["A", "B"], ["C"]],
        "new": [{"something": 1}],
        "mask": ["hat"],
    }
    assert [region.id for region in parse_result(result).regions] == ["r1", "r2"]


@pytest.mark.parametrize("part", ["id", "type", "from_name", "value"])
def test_an_entry_that_nothing_can_be_told_of_is_named_and_the_others_are_read(part: str) -> None:
    result = [box("a", "dress", 1, 2, 3, 4), choice("Sentiment", "Positive")]
    for broken in (box("b", "hat", 0, 0, 1, 1), choice("Objects", "Flag")):
        del broken[part]
        result.append(broken)
    assert parse_result(result).answers == {"box": ["dress"], "Sentiment": ["Positive"]}
    assert [region.id for region in parse_result(result).regions] == ["a"]
    ids = ["", ""] if part == "id" else ["b", "id of Objects"]
    assert parse_result(result).problems == tuple(
        (id_, f"a result of it has no {part}") for id_ in ids
    )


def test_a_relation_between_regions_lacks_nothing() -> None:
    relation = {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right"}
    assert parse_result([relation, box("a", "dress", 1, 2, 3, 4)]).problems == ()


def test_a_region_without_a_label_has_the_name_of_those() -> None:
    drawn = brush("a", "hat", rectangle_mask(0, 0, 2, 2))
    del drawn["value"]["brushlabels"]
    (region,) = parse_result([drawn]).regions
    assert (region.labels, region.names) == ((), (UNLABELED,))


def test_a_point_is_a_region_without_pixels() -> None:
    (region,) = parse_result([point("a", "dress")]).regions
    with pytest.raises(RegionError):
        region_rle(region)


def damaged(entry: Entry, **changes: object) -> Entry:
    return {**entry, "value": {**entry["value"], **changes}}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (damaged(brush("a", "hat", rectangle_mask(0, 0, 2, 2)), rle=[0, 0, 1]), "damaged"),
        (damaged(brush("a", "hat", rectangle_mask(0, 0, 2, 2)), rle=[999]), "damaged"),
        (damaged(polygon("a", "hat", (0, 0), (1, 1), (2, 2)), points=[[1, 2], [3, 4]]), "2 corn"),
        (damaged(polygon("a", "hat", (0, 0), (1, 1), (2, 2)), points=[[1, 2], [3]]), "no outline"),
        (damaged(box("a", "hat", 0, 0, 2, 2), width="wide"), "no outline"),
        ({**box("a", "hat", 0, 0, 2, 2), "original_width": None}, "size of its image"),
        ({**box("a", "hat", 0, 0, 2, 2), "original_width": "wide"}, "size of its image"),
    ],
)
def test_a_region_whose_pixels_cannot_be_told_says_why(entry: Entry, reason: str) -> None:
    (region,) = parse_result([entry]).regions
    with pytest.raises(RegionError, match=reason):
        region_rle(region)
