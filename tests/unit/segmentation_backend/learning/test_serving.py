"""Which model a worker serves to which project, and when it takes up another one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_backend.errors import ModelError, TaskError
from segmentation_backend.learning import serving
from segmentation_backend.learning.serving import LearnedModels
from segmentation_backend.learning.store import (
    CARD,
    LearnedVersion,
    ProjectKey,
    ProjectStore,
    write_json,
)
from tests.support.learned import saving

THREE, FOUR = ProjectKey(3, 1000), ProjectKey(4, 1000)


class Named:
    """A model that answers with the version it was loaded from."""

    classes = ("background", "ball")

    def __init__(self, version: str) -> None:
        self.version = version

    def segment(self, images: Sequence[np.ndarray]) -> list[Any]:
        return [self.version for _ in images]


class Disk:
    """Learned models on disk, and how often each was read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.loaded: list[str] = []
        self.asked_again: list[ProjectKey] = []

    def add(self, project: ProjectKey, content: str = "model") -> LearnedVersion:
        def describe(version: LearnedVersion) -> None:
            write_json(version.folder / CARD, {"classes": ["background", "ball"]})

        store = ProjectStore(self.root, project)
        return store.add(saving(content), describe)

    def load(self, version: LearnedVersion) -> Named:
        self.loaded.append(version.name)
        if version.model.read_text() == "damaged":
            raise ModelError("it is damaged")
        return Named(version.name)

    def worker(self, capacity: int = 8) -> LearnedModels:
        return LearnedModels(self.root, self.load, capacity, self.asked_again.append)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(serving, "POLL_SECONDS", 0.0)
    return Disk(tmp_path)


def answer(worker: LearnedModels, project: object) -> Any:
    model = worker.find(str(project))
    return None if model is None else model.segment([np.zeros((1, 1, 3), np.uint8)])[0]


def test_a_project_is_served_by_its_own_model_and_others_by_the_shipped_one(disk: Disk) -> None:
    version = disk.add(THREE)
    worker = disk.worker()
    assert answer(worker, THREE) == version.name
    assert answer(worker, FOUR) is None
    assert answer(worker, "3.2000") is None  # another database's project 3
    for stranger in (None, "", "3", {"id": 3}):
        assert worker.find(stranger) is None


def test_the_version_is_known_without_loading_the_model(disk: Disk) -> None:
    version = disk.add(THREE)
    model = disk.worker().find(str(THREE))
    assert model is not None
    assert (model.version, model.classes) == (version.name, ("background", "ball"))
    assert disk.loaded == []


def test_two_workers_take_up_a_promotion_and_a_rollback_without_a_restart(disk: Disk) -> None:
    workers = [disk.worker(), disk.worker()]
    assert [answer(each, THREE) for each in workers] == [None, None]
    first = disk.add(THREE, "one")
    assert [answer(each, THREE) for each in workers] == [first.name] * 2
    second = disk.add(THREE, "two")
    assert [answer(each, THREE) for each in workers] == [second.name] * 2
    ProjectStore(disk.root, THREE).rollback()
    assert [answer(each, THREE) for each in workers] == [first.name] * 2
    assert disk.loaded == [first.name] * 2 + [second.name] * 2


def test_the_pointer_is_looked_at_every_two_seconds_at_most(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert serving.POLL_SECONDS <= 10 / 2
    worker = disk.worker()
    assert worker.find(str(THREE)) is None
    disk.add(THREE)
    assert worker.find(str(THREE)) is None


def test_the_least_recently_used_model_leaves_memory(disk: Disk) -> None:
    first, second, third = (disk.add(ProjectKey(n, 0)) for n in range(3))
    worker = disk.worker(capacity=2)
    for version in (first, second, first, third, first, second):
        assert answer(worker, version.project) == version.name
    assert disk.loaded == [each.name for each in (first, second, third, second)]


def test_a_damaged_model_fails_one_request_then_the_shipped_one_serves(disk: Disk) -> None:
    version = disk.add(THREE, "damaged")
    worker = disk.worker()
    with pytest.raises(TaskError, match=f"{version.name} cannot be loaded"):
        answer(worker, THREE)
    assert answer(worker, THREE) is None
    assert disk.asked_again == [THREE]
    whole = disk.add(THREE, "whole")
    assert answer(worker, THREE) == whole.name
