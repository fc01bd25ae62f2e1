"""Objects in a target compared with the annotations of a project, one by one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ml_backend.labelstudio.client import LabelStudio
from segstudio.gcs.client import GoogleObjects, GoogleSettings, connect
from segstudio.labelstudio.storages import Storage
from segstudio.labelstudio.sync_check import Outcome, read_back
from tests.support.drawn import CONFIG
from tests.support.gcs_server import GcsServer
from tests.support.label_studio_server import TOKEN, LabelStudioServer, annotation, task

ReadBack = Callable[..., Outcome]


@pytest.fixture
def read(gcs: GcsServer, label_studio: LabelStudioServer, tmp_path: Path) -> ReadBack:
    """Puts objects into the target of task 3000001 with two annotations, and reads it back."""
    project = label_studio.add(CONFIG, [task("1.jpg", annotation(1), annotation(2))])
    gcs.add_bucket("labels")
    objects = GoogleObjects(connect(GoogleSettings()), "labels")
    file = tmp_path / "object"
    file.write_text("{}")

    def read(*names: str) -> Outcome:
        for name in names:
            objects.put(f"run/{name}", file, 0)
        target = Storage(id=1, bucket="labels", prefix="run", status="", synced=2, problem="")
        with LabelStudio(label_studio.url, TOKEN) as client:
            return read_back(client, project, target, objects)

    return read


def test_an_object_for_each_annotation_is_counted(read: ReadBack) -> None:
    outcome = read("2")
    assert (outcome.present, outcome.missing, outcome.complete) == (1, (1,), False)
    assert read("1").complete


def test_one_object_for_a_whole_task_holds_all_its_annotations(read: ReadBack) -> None:
    outcome = read("3000001.json")
    assert (outcome.present, outcome.missing, outcome.complete) == (2, (), True)


def test_objects_of_something_else_are_no_annotations(read: ReadBack) -> None:
    assert read("7.json", "notes", "3").missing == (1, 2)
