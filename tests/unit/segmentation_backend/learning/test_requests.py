import json
import math
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from segmentation_backend.learning.requests import LearningRequest, RequestFile, note_event
from segmentation_backend.learning.store import ProjectKey
from tests.support.repository import PAYLOADS

NOON = datetime(2026, 11, 28, 12).astimezone().timestamp()
NIGHT = datetime(2026, 11, 29, 1).astimezone().timestamp()


def recorded(name: str) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads((PAYLOADS / f"webhook_{name}.json").read_text())
    return payload


@pytest.mark.parametrize(
    ("event", "at_once"),
    [
        ("ANNOTATION_CREATED", False),
        ("ANNOTATION_UPDATED", False),
        ("ANNOTATIONS_CREATED_from_predictions", False),
        ("ANNOTATIONS_DELETED", False),
        ("START_TRAINING", True),
    ],
)
def test_what_changes_annotations_asks_for_a_run_as_label_studio_sends_it(
    tmp_path: Path, event: str, at_once: bool
) -> None:
    body = recorded(event)
    note_event(tmp_path, body["action"], body)
    key = ProjectKey.of(body["project"])
    assert key is not None
    request = RequestFile(tmp_path, key).read()
    assert request is not None
    assert request.at_once == at_once


@pytest.mark.parametrize("event", ["PROJECT_UPDATED_rename", "TASKS_CREATED_import"])
def test_other_events_ask_for_nothing(tmp_path: Path, event: str) -> None:
    body = recorded(event)
    note_event(tmp_path, body["action"], body)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("project", [None, 3, "3", {}, {"id": 3, "created_at": "soon"}])
def test_an_event_of_no_project_is_passed_over(tmp_path: Path, project: object) -> None:
    note_event(tmp_path, "ANNOTATION_CREATED", {"project": project})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_fails_no_event(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    body = recorded("ANNOTATION_CREATED")
    note_event(tmp_path / "file", body["action"], body)


def test_a_run_waits_for_a_pause_but_not_for_ever() -> None:
    assert LearningRequest(NOON, NOON).due_at("auto") == NOON + 10
    assert LearningRequest(NOON, NOON + 30).due_at("auto") == NOON + 40
    assert LearningRequest(NOON, NOON + 500).due_at("auto") == NOON + 60
    assert LearningRequest(NOON, NOON + 500, at_once=True).due_at("auto") == NOON


def test_nightly_waits_for_the_night_and_off_for_ever() -> None:
    assert LearningRequest(NOON, NOON).due_at("nightly") == NIGHT
    assert LearningRequest(NIGHT, NIGHT).due_at("nightly") == NIGHT + 10
    assert LearningRequest(NOON, NOON).due_at("off") == math.inf
    assert LearningRequest(NOON, NOON, at_once=True).due_at("off") == NOON


def test_what_comes_while_a_run_reads_is_not_lost(tmp_path: Path) -> None:
    file = RequestFile(tmp_path, ProjectKey(3, 5))
    file.add()
    read = file.read()
    assert read is not None
    file.add(at_once=True)
    file.answer(read)
    left = file.read()
    assert left is not None
    assert left.at_once
    file.answer(left)
    assert file.read() is None


def test_noting_an_event_takes_milliseconds(tmp_path: Path) -> None:
    body = recorded("ANNOTATION_CREATED")
    begun = time.process_time()
    for _ in range(20):
        note_event(tmp_path, body["action"], body)
    assert (time.process_time() - begun) / 20 < 0.02
