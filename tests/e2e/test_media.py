"""Video and sound: from files in a bucket to answers in a table, by commands and in the browser."""

import csv
import json
import math
import re
import struct
import wave
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page

from ml_backend.labelstudio.client import LabelStudio, NewTask
from tests.support.command_line import Run, records
from tests.support.studio import Studio

pytestmark = pytest.mark.timeout(900)

FRAMES, WIDTH, HEIGHT = 40, 160, 120

PLAYED = """() => {
  const video = document.querySelector('video');  // the page may put another in its place
  if (video?.paused) video.play();
  return video?.currentTime > 0.2;
}"""


def draw_clip(path: Path) -> Path:
    """A yellow bar that goes from left to right in four seconds."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), 10, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for number in range(FRAMES):
        frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        frame[:, number * 4 : (number + 1) * 4] = (0, 200, 255)
        writer.write(frame)
    writer.release()
    return path


def play_tone(path: Path) -> Path:
    """Two seconds of a tone."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        samples = (int(9000 * math.sin(n / 5)) for n in range(16000))
        file.writeframes(b"".join(struct.pack("<h", each) for each in samples))
    return path


def create(run: Run, api: LabelStudio, template: str, title: str, file: Path) -> tuple[int, int]:
    """Upload a file with ``media upload``, and make a project of it; returns it and its task.

    The page is shown an upload of the same file: it cannot reach the bucket of the tests.
    """
    folder = file.parent / title
    folder.mkdir()
    file.rename(folder / file.name)
    uploaded = run("media", "upload", folder, "--bucket", "gs://photos", "--manifest", "clips.csv")
    assert uploaded.exit_code == 0, uploaded.output
    words = ("--template", template, "--title", title, "--tasks", "clips.csv")
    created = run("project", "create", *words, "--choices", "Mood=Calm,Tense", "--json")
    assert created.exit_code == 0, created.output
    (project,) = records(created)[-1]["projects"]
    assert api.connections(project["id"]) == {}, "no backend is for it"
    (storage,) = api.call("GET", "/api/storages/gcs", params={"project": project["id"]})
    assert storage["bucket"] == "photos"
    (shown,) = api.upload(project["id"], [(file.name, folder / file.name)])
    key = template.removesuffix("_coding")
    api.create_tasks(project["id"], [NewTask({key: shown}, {"identifier": file.name})])
    found = api.call("GET", "/api/tasks", params={"project": project["id"], "fields": "all"})
    return project["id"], max(int(task["id"]) for task in found["tasks"])


def export(run: Run, project: int) -> dict[str, str]:
    words = ("--project", project, "--format", "csv", "--out", "answers.csv")
    result = run("export", *words)
    assert result.exit_code == 0, result.output
    with Path("answers.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row


def choose(page: Page, answer: str) -> None:
    """Click an answer; its key stands behind it."""
    page.get_by_text(re.compile(f"^{answer}")).first.click()


def submit(page: Page) -> None:
    with page.expect_response("**/annotations*") as response:
        page.get_by_test_id("bottombar-submit-button").click()
    assert response.value.ok, response.value.text()


@pytest.fixture
def api(studio: Studio) -> Any:
    with studio.api() as api:
        yield api


def test_a_video_is_played_boxed_and_answered(
    run: Run, api: LabelStudio, studio: Studio, page: Page, tmp_path: Path
) -> None:
    clip = draw_clip(tmp_path / "clip.webm")
    project, task = create(run, api, "video_coding", "Clips", clip)
    page.goto(f"{studio.url}/projects/{project}/data?task={task}")
    page.wait_for_function(f"document.querySelector('video')?.videoWidth === {WIDTH}")
    page.wait_for_function(PLAYED)
    choose(page, "Positive")
    submit(page)
    row = export(run, project)
    assert (row["identifier"], row["Sentiment"]) == ("clip.webm", "Positive")


def test_a_sound_is_answered_and_its_parts_are_exported(
    run: Run, api: LabelStudio, studio: Studio, page: Page, tmp_path: Path
) -> None:
    project, task = create(run, api, "audio_coding", "Sounds", play_tone(tmp_path / "tone.wav"))
    page.goto(f"{studio.url}/projects/{project}/data?task={task}")
    page.wait_for_selector("canvas")
    choose(page, "Negative")
    submit(page)
    assert export(run, project)["Sentiment"] == "Negative"
    speech = {
        "id": "s",
        "from_name": "part",
        "to_name": "audio",
        "type": "labels",
        "original_length": 2.0,
        "value": {"start": 0.5, "end": 1.5, "channel": 0, "labels": ["Speech"]},
    }
    (said,) = api.call("GET", f"/api/tasks/{task}/annotations/")
    body = {"result": [*said["result"], speech]}
    api.call("PATCH", f"/api/annotations/{said['id']}/", json=body)
    (part,) = json.loads(export(run, project)["part"])
    assert (part["labels"], part["start"], part["end"]) == (["Speech"], 0.5, 1.5)
