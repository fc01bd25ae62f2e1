import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import PromptError
from ml_backend.geometry import Box, Point
from ml_backend.labelstudio.prompts import parse_context
from tests.support.repository import PAYLOADS


def box(
    x: float, y: float, w: float, h: float, label: str = "Dress", **more: Any
) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": w, "height": h, "rectanglelabels": [label]}
    value["rotation"] = more.pop("rotation", 0)
    region = {"type": "rectanglelabels", "to_name": "image", "value": value}
    return region | {"original_width": 640, "original_height": 480} | more


def point(x: float, y: float, positive: bool | None = True, label: str = "Dress") -> dict[str, Any]:
    region: dict[str, Any] = {
        "type": "keypointlabels",
        "to_name": "image",
        "value": {"x": x, "y": y, "width": 0.2, "keypointlabels": [label]},
    }
    return region if positive is None else region | {"is_positive": positive}


def test_percent_become_fractions() -> None:
    context = parse_context({"result": [box(10, 20, 30, 40)]})
    assert context.boxes == (Box(0.1, 0.2, 0.4, 0.6),)
    assert (context.label, context.to_name) == ("Dress", "image")


def test_clicks_keep_their_order_and_sign() -> None:
    context = parse_context({"result": [point(10, 10), point(20, 20), point(30, 30, False)]})
    assert [p.positive for p in context.points] == [True, True, False]
    assert context.points[2] == Point(0.3, 0.3, positive=False)


def test_a_click_from_a_draft_without_its_sign_is_no_prompt() -> None:
    context = parse_context({"result": [point(1, 1, None), point(2, 2), point(3, 3, None)]})
    assert context.points == (Point(0.02, 0.02),)
    with pytest.raises(PromptError):
        parse_context({"result": [point(1, 1, None)]})


def one_list(id_: str, region: dict[str, Any], label: str | None) -> list[dict[str, Any]]:
    """The two results of a prompt that was drawn with a tool next to a list of labels."""
    kind = region["type"].removesuffix("labels")
    value = {k: v for k, v in region["value"].items() if not k.endswith("labels")}
    tool = region | {"id": id_, "type": kind, "from_name": kind, "value": value}
    listed = tool | {"type": "labels", "from_name": "label", "value": value | {"labels": [label]}}
    return [tool] if label is None else [tool, listed]


def test_the_label_of_a_prompt_may_come_in_a_result_of_its_own() -> None:
    result = [
        *one_list("a", box(60, 60, 9, 9), "Hat"),
        *one_list("b", box(10, 10, 20, 20), "Dress"),
        *one_list("c", point(15, 15, False), "Dress"),
    ]
    context = parse_context({"result": result})
    assert (context.label, context.tool) == ("Dress", "keypoint")
    assert len(context.boxes) == len(context.points) == 1


def test_a_tool_beside_a_list_may_prompt_without_a_label() -> None:
    context = parse_context({"result": one_list("a", box(10, 10, 20, 20), None)})
    assert (context.label, len(context.boxes)) == (None, 1)


@pytest.mark.parametrize(
    ("payload", "label", "boxes", "signs"),
    [
        ("one_list_rect_context", "dress", 1, []),
        ("one_list_rect_context_no_label", None, 1, []),
        ("one_list_keypoints_plus_plus_minus_context", "dress", 0, [True, True, False]),
    ],
)
def test_what_label_studio_sends_of_one_list_is_read(
    payload: str, label: str | None, boxes: int, signs: list[bool]
) -> None:
    sent = json.loads((PAYLOADS / f"{payload}.json").read_text())
    context = parse_context(sent.get("params", sent)["context"])
    assert (context.label, context.to_name, len(context.boxes)) == (label, "img", boxes)
    assert [each.positive for each in context.points] == signs


def test_prompts_on_another_page_are_passed_over() -> None:
    pages = [box(10, 10, 20, 20) | {"item_index": page} for page in (0, 1)]
    context = parse_context({"result": [*pages, point(5, 5) | {"item_index": 0}]})
    assert (context.item, len(context.boxes), len(context.points)) == (0, 1, 1)


@pytest.mark.parametrize("field", ["rotation", "width"])
def test_what_is_null_counts_as_absent(field: str) -> None:
    region = point(10, 10) | {"original_width": None}
    region["value"][field] = None
    assert parse_context({"result": [region]}).points == (Point(0.1, 0.1),)


def test_boxes_and_clicks_come_together() -> None:
    context = parse_context({"result": [box(0, 0, 50, 50), point(10, 10, False)]})
    assert len(context.boxes) == len(context.points) == 1


def test_prompts_for_another_label_or_image_are_passed_over() -> None:
    other = point(1, 1) | {"to_name": "second"}
    context = parse_context({"result": [point(5, 5, label="Hat"), other, point(9, 9)]})
    assert context.points == (Point(0.09, 0.09),)


def test_values_outside_the_image_are_clipped_to_it() -> None:
    context = parse_context({"result": [box(-5, -1, 200, 50)]})
    assert context.boxes == (Box(0, 0, 1, 0.49),)


def test_a_box_drawn_again_replaces_the_first_but_a_second_object_does_not() -> None:
    context = parse_context(
        {"result": [box(10, 10, 20, 20), box(11, 11, 20, 20), box(60, 60, 9, 9)]}
    )
    assert [round(b.left, 2) for b in context.boxes] == [0.11, 0.6]


def test_boxes_too_small_to_have_an_area_are_no_boxes() -> None:
    with pytest.raises(PromptError, match="no rectangle with an area"):
        parse_context({"result": [box(0, 0, 1e-300, 1e-300), box(0, 0, 1e-300, 1e-300)]})


def test_a_rotated_box_becomes_the_upright_box_around_it() -> None:
    # 64 x 48 pixels at (320, 240), turned by 90 degrees around its top left corner.
    (found,) = parse_context({"result": [box(50, 50, 10, 10, rotation=90)]}).boxes
    corners = (320 - 48) / 640, 0.5, 0.5, (240 + 64) / 480
    assert (found.left, found.top, found.right, found.bottom) == pytest.approx(corners)


@pytest.mark.parametrize(
    "context",
    [
        None,
        {},
        [],
        "text",
        7,
        {"result": None},
        {"result": []},
        {"result": ["x", None, 3]},
        {"result": [{"type": "brushlabels", "value": {"rle": [1]}}]},
        {"result": [{"type": "keypointlabels", "value": {"x": "left", "y": 2}}]},
        {"result": [box(50, 50, 0, 0)]},
        {"result": [box(120, 50, 10, 10)]},
        {"result": [point(5, 5, False)]},
        {"result": [point(math.inf, 5)]},
        {"result": [box(1, 1, math.nan, 5)]},
    ],
)
def test_a_context_with_nothing_to_work_with_says_so(context: Any) -> None:
    with pytest.raises(PromptError):
        parse_context(context)


def test_an_unknown_region_beside_a_prompt_does_no_harm() -> None:
    brush = {"type": "brush", "value": {"points": [1, 2]}, "to_name": "image"}
    assert parse_context({"result": [point(5, 5), brush]}).points == (Point(0.05, 0.05),)


def test_a_click_on_the_background_takes_away_from_the_object_before_it() -> None:
    result = [
        point(10, 10, label="Hat"),
        point(12, 12, label="background"),
        point(50, 50, label="Dress"),
        point(60, 60, label="Background"),
    ]
    context = parse_context({"result": result})
    assert context.label == "Dress"
    assert context.points == (Point(0.5, 0.5), Point(0.6, 0.6, positive=False))
    before = parse_context({"result": result[:2]})
    assert (before.label, [p.positive for p in before.points]) == ("Hat", [True, False])


def test_clicks_on_the_background_alone_go_on_with_what_was_before() -> None:
    first = parse_context({"result": [point(50, 50)]})
    alone = parse_context({"result": [point(60, 60, label="Background")]})
    assert alone.continues
    merged = first.continued(alone)
    assert (merged.label, [p.positive for p in merged.points]) == ("Dress", [True, False])


def test_contexts_that_hold_one_prompt_in_common_are_about_one_region() -> None:
    first = parse_context({"result": [point(50, 50) | {"id": "a"}]})
    moved = parse_context({"result": [point(55, 50) | {"id": "a"}]})
    nameless = parse_context({"result": [point(50, 50), point(60, 60)]})
    other = parse_context({"result": [point(70, 70) | {"id": "b"}]})
    assert first.shares(moved)
    assert first.shares(nameless)
    assert not first.shares(other)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "value", "x", "y", "width", "height", "rotation", "result"]),
            inner,
            max_size=5,
        )
    ),
)


@given(json_values)
def test_any_json_is_a_context_or_a_prompt_error(context: Any) -> None:
    try:
        found = parse_context(context)
    except PromptError:
        return
    assert all(0 <= p.x <= 1 and 0 <= p.y <= 1 for p in found.points)


@given(*[st.floats(-150, 250)] * 4, st.floats(-720, 720))
def test_every_box_lies_in_the_image(
    x: float, y: float, width: float, height: float, rotation: float
) -> None:
    try:
        found = parse_context({"result": [box(x, y, width, height, rotation=rotation)]})
    except PromptError:
        return
    for prompt in found.boxes:
        assert 0 <= prompt.left < prompt.right <= 1
        assert 0 <= prompt.top < prompt.bottom <= 1
