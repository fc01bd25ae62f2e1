"""A labeler's day: the prediction is there, smart tools, brush and eraser, submit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from ml_backend.labelstudio.brush_rle import decode_rle
from synthetic.people import Figure
from tests.support.labeling_page import LabelingPage, Spot
from tests.support.photographs import Mask, box_around, iou, left_half, spots_inside
from tests.support.repository import ROOT
from tests.support.studio import Studio

pytestmark = pytest.mark.timeout(1200)

SCREENSHOTS = ROOT / "test-results" / "screenshots"

Open = Callable[..., LabelingPage]
both_orientations = pytest.mark.parametrize("photograph", ["plain", "rotated"])


@pytest.fixture
def open_task(page: Page, studio: Studio) -> Open:
    """Makes a task of a photograph, opens it, and waits for its prediction."""

    def open_(photograph: str, **data: str) -> LabelingPage:
        task = studio.new_task(photograph, **data)
        labeling = LabelingPage(page, studio.project_url, task)
        labeling.wait_for_regions()
        return labeling

    return open_


def picture(labeling: LabelingPage, name: str) -> Path:
    """Take a screenshot into the folder that ``make test`` names."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    labeling.screenshot(path)
    return path


def stored(studio: Studio, labeling: LabelingPage, kind: str) -> dict[str, Mask]:
    """The masks of the task's one prediction or annotation, by label."""
    task = studio.request("GET", f"/api/tasks/{labeling.task}")
    (only,) = task[kind]
    return masks(only["result"])


def masks(regions: list[dict[str, Any]]) -> dict[str, Mask]:
    """By label; a region is a mask and, under the same id, its label."""
    drawn = {region["id"]: region for region in regions if "rle" in region["value"]}
    found: dict[str, Mask] = {}
    for region in regions:
        for label in region["value"].get("labels", []):
            mask = drawn[region["id"]]
            size = mask["original_height"], mask["original_width"]
            pixels = decode_rle(mask["value"]["rle"], *size)
            found[label] = found[label] | pixels if label in found else pixels
    return found


def union(masks: dict[str, Mask]) -> Mask:
    together: Mask = np.any(list(masks.values()), axis=0)
    return together


@both_orientations
def test_the_garments_are_masked_and_named_when_a_task_is_opened(
    open_task: Open, studio: Studio, figure: Figure, photograph: str
) -> None:
    labeling = open_task(photograph)
    picture(labeling, f"prediction-{photograph}")
    predicted = stored(studio, labeling, "predictions")
    assert list(dict.fromkeys(labeling.labels)) == list(predicted)
    assert iou(union(predicted), union(dict(figure.masks))) > 0.6


@both_orientations
def test_boxes_and_points_become_masks_that_are_submitted(
    open_task: Open, studio: Studio, figure: Figure, photograph: str
) -> None:
    top, bottom = figure.masks["shirt"], figure.masks["skirt"]
    labeling = open_task(photograph)
    for label in labeling.labels:
        labeling.delete(label)
    labeling.switch_on_smart_tools()
    labeling.smart_box("skirt", *box_around(bottom))
    picture(labeling, f"box-{photograph}")
    labeling.accept()
    inside = spots_inside(top, (0, 0.4), (0.5, 1))
    # Low and to the left, for Label Studio puts buttons under the middle of a suggestion.
    (outside,) = spots_inside(left_half(bottom), (0.6, 1))
    labeling.smart_points("shirt", [(inside[0], True), (inside[1], True), (outside, False)])
    picture(labeling, f"points-{photograph}")
    labeling.accept()
    labeling.submit()
    submitted = stored(studio, labeling, "annotations")
    assert list(submitted) == ["skirt", "shirt"]
    assert iou(submitted["skirt"], bottom) > 0.8
    assert iou(submitted["shirt"], top) > 0.7


def test_what_brush_and_eraser_changed_is_what_is_submitted(
    open_task: Open, studio: Studio, figure: Figure
) -> None:
    labeling = open_task("rotated")
    before = stored(studio, labeling, "predictions")
    edited = max(before, key=lambda label: before[label].sum())
    (deep,) = spots_inside(before[edited], (0, 1))
    labeling.paint("jewelry", [Spot(0.1, 0.05), Spot(0.3, 0.05)])
    labeling.erase(edited, [Spot(deep.x - 0.05, deep.y), Spot(deep.x + 0.05, deep.y)])
    picture(labeling, "brush-and-eraser")
    labeling.submit()
    after = stored(studio, labeling, "annotations")

    height, width = figure.image.shape[:2]
    rows, columns = np.nonzero(after.pop("jewelry"))
    assert abs(rows.mean() / height - 0.05) < 0.005
    assert abs(columns.min() / width - 0.1) < 0.03
    assert abs(columns.max() / width - 0.3) < 0.03

    erased = before[edited] & ~after[edited]
    assert erased[int(deep.y * height), int(deep.x * width)]
    assert erased.sum() < 0.2 * before[edited].sum()
    assert not (after[edited] & ~before[edited]).any()

    untouched = set(before) - {edited}
    assert all((after[label] == before[label]).all() for label in untouched)


def test_the_magic_wand_takes_what_has_the_colour_it_is_dragged_from(
    open_task: Open, studio: Studio, figure: Figure
) -> None:
    labeling = open_task("plain")
    start, end = Spot(0.05, 0.5), Spot(0.08, 0.52)
    labeling.magic_wand("jewelry", start, end)
    picture(labeling, "magic-wand")
    labeling.submit()
    taken = stored(studio, labeling, "annotations")["jewelry"]
    height, width = taken.shape
    assert taken[int(start.y * height), int(start.x * width)]
    assert (taken & union(dict(figure.masks))).sum() < 0.1 * taken.sum()


def test_a_task_shows_what_it_tells_of_the_look_and_may_tell_nothing(open_task: Open) -> None:
    look = {"Name": "Look 17", "Theme": "Autumn", "Typology": "dress", "Typology_sub": "midi"}
    assert open_task("plain", **look).headers == ["Look 17", "Autumn", "dress", "midi"]
    assert open_task("plain").headers == []


def test_keys_choose_tool_and_label_and_one_action_is_a_region(
    open_task: Open, studio: Studio, figure: Figure
) -> None:
    labeling = open_task("plain")
    for label in labeling.labels:
        labeling.delete(label)
    labeling.switch_on_smart_tools()
    labeling.switch_on_auto_accept()
    labeling.choose_smart_tool("r")
    labeling.press("q")
    assert labeling.chosen("label") == ["skirt"]
    labeling.accepted_box(*box_around(figure.masks["skirt"]))
    labeling.press("5")
    labeling.accepted_box(*box_around(figure.masks["shirt"]))
    assert labeling.labels == ["skirt", "shirt"]
    labeling.relabel("shirt", "blouse")
    (deep,) = spots_inside(figure.masks["skirt"], (0, 1))
    labeling.erase("skirt", [Spot(deep.x - 0.05, deep.y), Spot(deep.x + 0.05, deep.y)])
    labeling.submit()
    submitted = stored(studio, labeling, "annotations")
    assert list(submitted) == ["skirt", "blouse"]
    assert iou(submitted["skirt"], figure.masks["skirt"]) > 0.6
    assert iou(submitted["blouse"], figure.masks["shirt"]) > 0.6
    height, width = submitted["skirt"].shape
    assert not submitted["skirt"][int(deep.y * height), int(deep.x * width)]
    labeling.reopen()
    assert labeling.labels == ["skirt", "blouse"]


TURNED = """<View><Image name="image" value="$image" rotateControl="true"/>
  <View className="garments">
    <Labels name="label" toName="image"><Label value="skirt"/></Labels></View>
  <Rectangle name="box" toName="image" smart="true"/>
  <KeyPoint name="point" toName="image" smart="true"/>
  <Brush name="mask" toName="image" smart="false"/></View>"""


def test_a_box_drawn_in_a_turned_view_becomes_a_mask_in_the_right_place(
    page: Page, studio: Studio, figure: Figure
) -> None:
    project, task = studio.new_project("Turned", TURNED, "plain")
    labeling = LabelingPage(page, f"{studio.url}/projects/{project}/data", task)
    labeling.wait_for_regions()
    for label in labeling.labels:
        labeling.delete(label)
    labeling.turn_left()
    labeling.switch_on_smart_tools()
    first, last = box_around(figure.masks["skirt"])
    # What is at the top of the image is at the left of this view, its right edge at the top.
    labeling.smart_box("skirt", Spot(first.y, 1 - first.x), Spot(last.y, 1 - last.x))
    picture(labeling, "turned")
    labeling.accept()
    labeling.submit()
    (annotation,) = studio.request("GET", f"/api/tasks/{task}")["annotations"]
    assert {each["image_rotation"] for each in annotation["result"]} == {270}
    assert iou(masks(annotation["result"])["skirt"], figure.masks["skirt"]) > 0.8
