"""A labeler's day: the prediction is there, smart tools, brush and eraser, submit."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from ml_backend.brush import decode_rle
from segstudio.figures import Figure
from tests.e2e.labeling_page import LabelingPage, Spot
from tests.e2e.photographs import Mask, box_around, iou, spots_inside
from tests.e2e.studio import Studio

pytestmark = pytest.mark.timeout(900)

SCREENSHOTS = Path("test-results") / "screenshots"

Open = Callable[[str], LabelingPage]


@pytest.fixture
def open_task(page: Page, studio: Studio) -> Open:
    """Opens the task of a photograph and waits for its prediction."""

    def open_(name: str) -> LabelingPage:
        labeling = LabelingPage(page, studio.project_url, studio.task(name)["id"])
        labeling.wait_for_regions()
        return labeling

    return open_


def masks(regions: list[dict[str, object]]) -> dict[str, Mask]:
    """The masks of a stored prediction or annotation by label."""
    found: dict[str, Mask] = {}
    for region in regions:
        value = region["value"]
        (label,) = value["brushlabels"]
        mask = decode_rle(value["rle"], region["original_height"], region["original_width"])
        found[label] = found.get(label, np.zeros_like(mask)) | mask
    return found


def union(masks: dict[str, Mask]) -> Mask:
    return np.any(list(masks.values()), axis=0)


def take_screenshot(labeling: LabelingPage, name: str) -> Path:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    labeling.screenshot(path)
    return path


@pytest.mark.parametrize("name", ["plain", "rotated"])
def test_the_garments_are_masked_and_named_when_a_task_is_opened(
    open_task: Open, studio: Studio, figure: Figure, name: str
) -> None:
    labeling = open_task(name)
    take_screenshot(labeling, f"prediction-{name}")
    (prediction,) = studio.task(name)["predictions"]
    predicted = masks(prediction["result"])
    print(name, {k: iou(v, figure.masks[k]) for k, v in predicted.items() if k in figure.masks}, iou(union(predicted), union(dict(figure.masks))))
    assert set(labeling.labels) == set(predicted)
    assert iou(union(predicted), union(dict(figure.masks))) > 0.6


@pytest.mark.parametrize("name", ["plain", "rotated"])
def test_boxes_and_points_become_masks_that_are_submitted(
    open_task: Open, studio: Studio, figure: Figure, name: str
) -> None:
    labeling = open_task(name)
    for label in set(labeling.labels):
        labeling.delete(label)
    labeling.switch_on_smart_tools()
    labeling.smart_box("coat", *box_around(figure.masks["coat"]))
    take_screenshot(labeling, f"box-{name}")
    labeling.accept()
    inside = spots_inside(figure.masks["dress"], 0.3, 0.7)
    outside = spots_inside(figure.masks["coat"], 0.8)
    labeling.smart_points("dress", [(inside[0], True), (inside[1], True), (outside[0], False)])
    take_screenshot(labeling, f"points-{name}")
    labeling.accept()
    assert labeling.labels == ["coat", "dress"]
    labeling.submit()
    (annotation,) = studio.task(name)["annotations"]
    submitted = masks(annotation["result"])
    print({k: iou(v, figure.masks[k]) for k, v in submitted.items()})
    assert iou(submitted["coat"], figure.masks["coat"]) > 0.7
    assert iou(submitted["dress"], figure.masks["dress"]) > 0.6
