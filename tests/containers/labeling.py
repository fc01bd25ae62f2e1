"""A labeler's image, and what programs see of it."""

from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Page

from ml_backend.labelstudio.brush_rle import decode_rle
from synthetic.people import Figure
from tests.support.labeling_page import LabelingPage
from tests.support.photographs import Mask, box_around, iou
from tests.support.stack import Stack

CLICK = {
    "from_name": "point",
    "to_name": "image",
    "type": "keypoint",
    "id": "click",
    "original_width": 600,
    "original_height": 900,
    "is_positive": True,
}


def label_one_image(page: Page, stack: Stack, figure: Figure) -> None:
    """Open the first sample, see what was found, have a box turned into a mask, submit."""
    with stack.client(verify=False) as api:
        task = find_task(api, stack, "drawn-1")
    labeling = LabelingPage(page, stack.address, task)
    labeling.wait_for_regions()
    garments = np.any(list(figure.masks.values()), axis=0)
    with stack.client(verify=False) as api:
        (prediction,) = stored(api, task, "predictions")
    assert iou(np.any(masks(prediction["result"]), axis=0), garments) > 0.5
    labeling.switch_on_smart_tools()
    labeling.smart_box("skirt", *box_around(figure.masks["skirt"]))
    labeling.accept()
    labeling.submit()
    with stack.client(verify=False) as api:
        (annotation,) = stored(api, task, "annotations")
    assert iou(masks(annotation["result"])[-1], figure.masks["skirt"]) > 0.7


def find_task(api: httpx.Client, stack: Stack, name: str) -> int:
    """Id of the task with the photograph of a name."""
    tasks = all_tasks(api, stack)
    (found,) = (task["id"] for task in tasks if task["data"].get("Name") == name)
    return int(found)


def all_tasks(api: httpx.Client, stack: Stack) -> list[dict[str, Any]]:
    """The project's tasks, with predictions and annotations."""
    answer = api.get("/api/tasks", params={"project": str(stack.project), "fields": "all"})
    tasks: list[dict[str, Any]] = answer.raise_for_status().json()["tasks"]
    return tasks


def new_task(api: httpx.Client, stack: Stack, name: str, image: str) -> int:
    """Make a task with an image at an address."""
    body = [{"data": {"image": image, "Name": name}}]
    api.post(f"/api/projects/{stack.project}/import", json=body).raise_for_status()
    return find_task(api, stack, name)


def stored(api: httpx.Client, task: int, kind: str) -> list[dict[str, Any]]:
    """Predictions or annotations of a task."""
    found: list[dict[str, Any]] = api.get(f"/api/tasks/{task}").raise_for_status().json()[kind]
    return found


def work(api: httpx.Client, stack: Stack) -> object:
    """What people and models did: tasks, predictions, annotations, and who is connected."""
    tasks = all_tasks(api, stack)
    connected = api.get("/api/ml", params={"project": stack.project}).raise_for_status().json()
    done = [
        (task["id"], task["data"], [each["result"] for each in task[kind]])
        for task in tasks
        for kind in ("predictions", "annotations")
    ]
    return done, [(each["id"], each["url"], each["is_interactive"]) for each in connected]


def predict(api: httpx.Client, stack: Stack, task: int) -> httpx.Response:
    """Have a task predicted, as the button of the data manager does."""
    return api.post(
        "/api/dm/actions",
        params={"id": "retrieve_tasks_predictions", "project": stack.project},
        json={"selectedItems": {"all": False, "included": [task]}},
    )


def click(api: httpx.Client, stack: Stack, task: int, x: float, y: float) -> list[Mask]:
    """The masks that a labeler is suggested for a click at percentages of the image."""
    backends = api.get("/api/ml", params={"project": stack.project}).raise_for_status().json()
    (sam,) = (each["id"] for each in backends if each["is_interactive"])
    value = {"x": x, "y": y, "width": 0.5, "labels": ["skirt"]}
    answer = api.post(
        f"/api/ml/{sam}/interactive-annotating",
        json={"task": task, "context": {"result": [CLICK | {"value": value}]}},
    )
    data = answer.raise_for_status().json().get("data") or {}
    return masks(data.get("result", []))


def masks(regions: list[dict[str, Any]]) -> list[Mask]:
    """The pixels of the regions, in order; a prediction has them in the first of two results."""
    return [
        decode_rle(each["value"]["rle"], each["original_height"], each["original_width"])
        for each in regions
        if "rle" in each["value"] and each["type"] != "labels"
    ]
