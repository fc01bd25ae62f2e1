"""The learner's choices and its life: what it does first, what it does when children fail."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_backend.labelstudio.client import LabelStudio
from segmentation_backend.learning import learner as module
from segmentation_backend.learning import requests
from segmentation_backend.learning.learner import EXIT_GONE, Job, Learner, next_job
from segmentation_backend.learning.requests import RequestFile
from segmentation_backend.learning.state import RunState, mark_published, read_state, write_state
from segmentation_backend.learning.store import ProjectKey, ProjectStore
from tests.support.drawn import CONFIG
from tests.support.label_studio_server import TOKEN, LabelStudioServer, annotation, task
from tests.support.learned import saving
from tests.support.waiting import eventually

LATER = 1e12
CREATED = 1_795_402_435  # of the stand-in's projects
THREE, FOUR = ProjectKey(3, CREATED), ProjectKey(4, CREATED)


@pytest.fixture
def label_studio() -> Iterator[LabelStudioServer]:
    with LabelStudioServer() as server:
        yield server


def job(root: Path, now: float = LATER) -> Job | None:
    return next_job(root, "auto", now, {})


def ask(root: Path, project: ProjectKey, at_once: bool = False) -> float:
    RequestFile(root, project).add(at_once)
    request = RequestFile(root, project).read()
    assert request is not None
    return request.first


def test_nothing_is_done_where_nothing_is_asked_for(tmp_path: Path) -> None:
    assert job(tmp_path) is None
    assert job(tmp_path / "missing") is None


def test_the_request_that_is_due_longest_comes_first_and_none_before_it_is_due(
    tmp_path: Path,
) -> None:
    begun = ask(tmp_path, FOUR)
    assert job(tmp_path, begun + 9) is None
    ask(tmp_path, THREE)
    assert job(tmp_path) == Job("run", FOUR)
    ask(tmp_path, THREE, at_once=True)
    assert job(tmp_path) == Job("run", THREE)


def test_after_a_long_run_a_project_rests_unless_somebody_asks(tmp_path: Path) -> None:
    begun = ask(tmp_path, THREE)
    write_state(tmp_path, THREE, RunState(seconds=100, ended=begun))
    assert job(tmp_path, begun + 299) is None
    assert job(tmp_path, begun + 301) == Job("run", THREE)
    ask(tmp_path, THREE, at_once=True)
    assert job(tmp_path, begun + 11) == Job("run", THREE)


def test_nights_are_for_thorough_learning_and_a_request_of_somebody_is_quick(
    tmp_path: Path,
) -> None:
    ask(tmp_path, THREE)
    assert next_job(tmp_path, "nightly", LATER, {}) == Job("run", THREE, thorough=True)
    ask(tmp_path, THREE, at_once=True)
    assert next_job(tmp_path, "nightly", LATER, {}) == Job("run", THREE)


def test_predictions_are_written_when_nothing_is_to_learn_until_they_are_there(
    tmp_path: Path,
) -> None:
    store = ProjectStore(tmp_path, THREE)
    version = store.add(saving("model"), lambda _: None)
    assert job(tmp_path) == Job("publish", THREE)
    ask(tmp_path, FOUR)
    assert job(tmp_path) == Job("run", FOUR)
    mark_published(tmp_path, THREE, version)
    assert job(tmp_path, now=0) is None
    store.rollback()
    assert job(tmp_path, now=0) == Job("publish", THREE)


class Life:
    """A learner at work on children that do as a program says."""

    def __init__(self, server: LabelStudioServer, root: Path, program: str) -> None:
        self.client = LabelStudio(server.url, TOKEN)
        self.learner = Learner(root, "auto", self.client, (sys.executable, "-c", program))
        self._thread = threading.Thread(target=self.learner.serve)

    def __enter__(self) -> "Life":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.learner.stop()
        self._thread.join(timeout=20)
        assert not self._thread.is_alive()
        self.client.__exit__(None, None, None)


def program(root: Path, code: int) -> str:
    """Notes that it was started, and ends with a code."""
    return f"import sys; open({str(root / 'starts')!r}, 'a').write('x'); sys.exit({code})"


def starts(root: Path) -> int:
    path = root / "starts"
    return len(path.read_text()) if path.exists() else 0


def test_a_child_that_fails_is_started_again_after_a_while(
    label_studio: LabelStudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(module, "_FIRST_RETRY", 0.2)
    ask(tmp_path, THREE, at_once=True)
    with Life(label_studio, tmp_path, program(tmp_path, 1)):
        eventually(lambda: starts(tmp_path) > 1)
    assert RequestFile(tmp_path, THREE).read() is not None


def test_a_project_that_is_gone_is_left_alone(
    label_studio: LabelStudioServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(module, "_FIRST_RETRY", 0.1)
    ask(tmp_path, THREE, at_once=True)
    with Life(label_studio, tmp_path, program(tmp_path, EXIT_GONE)) as life:
        eventually(lambda: life.learner.rests)
        assert next_job(tmp_path, "auto", LATER, life.learner.rests) is None
    assert starts(tmp_path) == 1


def test_being_stopped_ends_the_child_and_keeps_the_request(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    ask(tmp_path, THREE, at_once=True)
    forever = program(tmp_path, 0).replace("sys.exit", "import signal; signal.pause(); sys.exit")
    with Life(label_studio, tmp_path, forever):
        eventually(lambda: starts(tmp_path) == 1)
    assert RequestFile(tmp_path, THREE).read() is not None


def test_annotations_that_no_event_told_of_are_noticed(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    label_studio.add(CONFIG, [task("1.png", annotation(1), annotation(2))])
    with LabelStudio(label_studio.url, TOKEN) as client:
        learner = Learner(tmp_path, "auto", client)
        write_state(tmp_path, THREE, RunState(annotations=2))
        learner.catch_up()
        assert RequestFile(tmp_path, THREE).read() is None
        write_state(tmp_path, THREE, RunState(annotations=1))
        learner.catch_up()
        assert RequestFile(tmp_path, THREE).read() is not None


def test_the_learner_holds_no_torch_while_it_waits() -> None:
    program = "import sys, segmentation_backend.learning.commands; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_label_studio_away_is_no_trouble_for_the_learner(
    label_studio: LabelStudioServer, tmp_path: Path
) -> None:
    write_state(tmp_path, THREE, RunState(annotations=1))
    with LabelStudio("http://127.0.0.1:9", TOKEN) as client:
        Learner(tmp_path, "auto", client).catch_up()


@pytest.mark.parametrize(
    ("annotations", "config", "started"),
    [
        (7, CONFIG, 0),
        (8, CONFIG, 1),
        (1, CONFIG.replace("value=", "valueList=", 1), 1),
        (1, "<View/>", 1),
    ],
    ids=["too few", "enough", "one with many pages", "the child tells that there are no masks"],
)
def test_no_child_is_started_for_a_project_with_too_few_annotations(
    label_studio: LabelStudioServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    annotations: int,
    config: str,
    started: int,
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(requests, "QUIET_SECONDS", 0)
    label_studio.add(config, [task("1.png", *map(annotation, range(annotations)))])
    write_state(tmp_path, THREE, RunState(digest="of the last run"))
    ask(tmp_path, THREE)
    with Life(label_studio, tmp_path, program(tmp_path, 1)):
        eventually(lambda: starts(tmp_path) or RequestFile(tmp_path, THREE).read() is None)
    assert starts(tmp_path) == started
    if not started:
        assert read_state(tmp_path, THREE) == RunState("of the last run", annotations)
