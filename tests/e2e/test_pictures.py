"""The pictures of the documentation, of a labeler at work in a browser.

``PICTURES=docs/images pytest tests/e2e/test_pictures.py`` takes them again.
"""

import os
import shutil
from pathlib import Path

import cv2
import pytest
from PIL import Image
from playwright.sync_api import Page

from ml_backend.labelstudio.client import SEQUENTIAL, NewProject, NewTask
from segstudio.labelstudio.ml_backends import BackendPair, connect_backends
from segstudio.projects.templates import read_template
from synthetic.people import Figure, draw_figure
from tests.support.asking import data_uri
from tests.support.labeling_page import LabelingStream, Spot
from tests.support.photographs import box_around, spots_inside
from tests.support.recording import Recording
from tests.support.repository import ROOT
from tests.support.studio import Studio

pytestmark = pytest.mark.timeout(1200)

MISSED, FOUND = 3_000_152, 3_000_022  # figures of which the model misses the pants, and nothing
MOST_BYTES = 2_000_000

OPEN = "A task opens: the garments are masked and named."
TOOL = "Auto-Annotation on.  R: smart rectangle.  T: pants."
DRAG = "Drag a box around what is missing."
SUGGESTED = "Its mask is suggested."
ACCEPTED = "Accept it."
NEXT = "Submit. The next task opens."
POINTS = "K: smart points. Alt+click: not part of it."
ERASED = "Eraser"
STEPS = {
    "open": OPEN,
    "tool": TOOL,
    "drag": DRAG,
    "suggestion": SUGGESTED,
    "accepted": ACCEPTED,
    "points": POINTS,
    "eraser": ERASED,
}
"""Names of the still pictures → texts of the frames that they show."""


def new_task(figure: Figure, name: str) -> NewTask:
    _, jpeg = cv2.imencode(".jpg", figure.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return NewTask({"image": data_uri(jpeg.tobytes()), "Name": name, "Theme": "Autumn"}, {})


def open_stream(studio: Studio, page: Page, *figures: Figure) -> tuple[LabelingStream, list[int]]:
    """Create a project of drawn people, and open its label stream."""
    names = ("SEGMENTATION_PORT", "SAM_PORT")
    pair = BackendPair(*(f"http://localhost:{studio.ports[name]}" for name in names))
    with studio.api() as api:
        config = read_template("runway_fashion")
        project = api.create_project(NewProject("Autumn looks", config, sampling=SEQUENTIAL))
        tasks = [new_task(figure, f"Look {n}") for n, figure in enumerate(figures, 1)]
        api.create_tasks(project, tasks)
        connect_backends(api, project, pair)
        ids = [int(task["id"]) for task in api.tasks(project, "id")]
    return LabelingStream(page, f"{studio.url}/projects/{project}/data", ids[0]), ids


def test_pictures_of_a_labeling_minute_and_of_its_steps(
    page: Page, studio: Studio, tmp_path: Path
) -> None:
    page.set_viewport_size({"width": 1300, "height": 820})
    recording = Recording(page)
    missed, found = (draw_figure(seed, 900, 600) for seed in (MISSED, FOUND))
    stream, (first, second) = open_stream(studio, page, missed, found)
    stream.wait_for_task(first)
    record_a_minute(recording, stream, missed, second)
    moving = tmp_path / "labeling.webp"
    recording.save(moving)
    assert moving.stat().st_size < MOST_BYTES
    with Image.open(moving) as image:
        assert getattr(image, "n_frames", 1) == len(recording.frames)
    assert "pants" in submitted_labels(studio, first)

    record_points_and_eraser(recording, stream, found)
    for step, text in STEPS.items():
        recording.save_last(tmp_path / f"labeling-{step}.webp", text)
    if target := os.environ.get("PICTURES"):
        for path in tmp_path.glob("*.webp"):
            shutil.copy(path, ROOT / target)


def record_a_minute(
    recording: Recording, stream: LabelingStream, figure: Figure, next_task: int
) -> None:
    """Open, add the missing garment with a box, accept, submit."""
    assert "pants" not in stream.labels
    recording.frame(OPEN, 2500)
    stream.switch_on_smart_tools()
    stream.choose_smart_tool("r")
    stream.press("t")
    recording.frame(TOOL, 2000)
    stream.drag_box(*box_around(figure.masks["pants"]), lambda: recording.frame(DRAG))
    recording.frame(SUGGESTED, 1800)
    stream.accept()
    recording.frame(ACCEPTED, 1500)
    stream.submit()
    stream.wait_for_task(next_task)
    recording.frame(NEXT, 3000)


def record_points_and_eraser(recording: Recording, stream: LabelingStream, figure: Figure) -> None:
    """Replace a region by clicks, and rub out a part of another one."""
    (inside,) = spots_inside(figure.masks["bag-belt"], (0, 1))
    (outside,) = spots_inside(figure.masks["dress"], (0.6, 1))
    stream.delete("bag-belt")
    stream.smart_points("bag-belt", [(inside, True), (outside, False)])
    recording.frame(POINTS)
    stream.accept()
    (deep,) = spots_inside(figure.masks["dress"], (0, 0.3))
    stream.erase("dress", [Spot(deep.x - 0.06, deep.y), Spot(deep.x + 0.06, deep.y)])
    recording.frame(ERASED)


def submitted_labels(studio: Studio, task: int) -> set[str]:
    """Return the labels of the task's only annotation."""
    (annotation,) = studio.request("GET", f"/api/tasks/{task}")["annotations"]
    return {label for each in annotation["result"] for label in each["value"].get("labels", [])}
