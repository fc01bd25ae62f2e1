"""What requests say about images: the task, its project, and a login."""

import json
from typing import Any

import msgspec
import pytest

from ml_backend.images import TaskAccess
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.predictor import references_alone
from ml_backend.labelstudio.schemas import PredictRequest, Task, TaskWithLogin
from tests.support.asking import CONFIG


def read(task: dict[str, Any], **params: Any) -> Task:
    body = {"tasks": [task], "label_config": CONFIG, "params": {"context": None, **params}}
    request = msgspec.json.decode(json.dumps(body).encode(), type=PredictRequest)
    (found,) = request.tasks_with_login
    return found


def test_the_login_of_a_call_is_that_of_its_tasks() -> None:
    task = read({"id": 17, "project": 3, "data": {"image": "a"}}, login="anna", password="p")
    assert task.access == TaskAccess(17, 3, ("anna", "p"))
    assert references_alone(task, parse_label_config(CONFIG)).access == task.access
    passed_on = msgspec.json.decode(msgspec.json.encode(task), type=TaskWithLogin)
    assert passed_on.access == task.access


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"login": None, "password": None},
        {"login": "", "password": ""},
        {"login": "anna"},
        {"login": 1, "password": []},
        {"login": "anna", "password": None},
    ],
)
def test_half_a_login_is_none(params: dict[str, Any]) -> None:
    assert read({"id": 17, "project": 3}, **params).access == TaskAccess(17, 3)


@pytest.mark.parametrize(("id_", "project"), [("../../api", "3"), (None, None), ("17", [3])])
def test_ids_that_are_no_numbers_are_not_asked_for(id_: Any, project: Any) -> None:
    assert read({"id": id_, "project": project}).access == TaskAccess()
