"""Predictions come into a project once, however Label Studio behaves."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ml_backend.errors import LabelStudioError, SettingsError
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.labelstudio.label_config import parse_label_config
from segstudio.data.store import Folder
from segstudio.predict.failures import Failures
from segstudio.predict.items import Item, Outcome
from segstudio.predict.job import (
    ProjectTasksSpec,
    RunOptions,
    Writer,
    open_job,
    pending_items,
)
from segstudio.predict.project_sink import ProjectSink
from tests.support.http_server import HANG_UP, Reply, Request
from tests.support.label_studio_server import TOKEN, FakeProject, LabelStudioServer, refusal, task
from tests.support.ray_pictures import CONFIG

VERSION = "model-2"
TASKS = 1200


@pytest.fixture
def server() -> Iterator[LabelStudioServer]:
    with LabelStudioServer() as server:
        server.add("<View/>")
        yield server


@pytest.fixture
def project(server: LabelStudioServer) -> FakeProject:
    """A project with tasks 1, 2, 3 ..."""
    project = server.projects[3]
    project.tasks = {n: task(f"{n}.jpg") for n in range(1, TASKS + 1)}
    return project


@pytest.fixture
def label_studio(server: LabelStudioServer, project: FakeProject) -> Iterator[LabelStudio]:
    with LabelStudio(server.url, TOKEN) as label_studio:
        yield label_studio


def target(label_studio: LabelStudio, seconds: float = 30) -> ProjectSink:
    return ProjectSink(label_studio, 3, parse_label_config(CONFIG), VERSION, seconds)


def predicted(item: Item) -> Outcome:
    return Outcome(item, {"result": [], "score": 0.5, "model_version": VERSION})


@pytest.mark.parametrize("postgresql", [False, True])
def test_tasks_come_page_by_page_less_those_that_have_this_version(
    server: LabelStudioServer, label_studio: LabelStudio, postgresql: bool
) -> None:
    server.postgresql = postgresql
    server.predictions = [(5, VERSION), (6, "model-1"), (7, "model-1"), (7, VERSION)]
    items = list(target(label_studio).items())
    assert [item.task for item in items] == [n for n in range(1, TASKS + 1) if n not in (5, 7)]
    assert items[0].reference == "gs://looks/1.jpg"


def test_tasks_of_questions_alone_come_too(label_studio: LabelStudio) -> None:
    questions = parse_label_config(
        '<View><Image name="i" value="$image"/><Choices name="c" toName="i">'
        '<Choice value="Street" prompt="street"/></Choices></View>'
    )
    item = next(ProjectSink(label_studio, 3, questions, VERSION, 30).items())
    assert (item.reference, item.data) == ("gs://looks/1.jpg", {"image": "gs://looks/1.jpg"})


@pytest.mark.parametrize("postgresql", [False, True])
@pytest.mark.parametrize("length", [8, 16])
def test_a_task_of_so_many_versions_that_label_studio_cuts_them_off_gets_this_one_once(
    server: LabelStudioServer,
    project: FakeProject,
    label_studio: LabelStudio,
    postgresql: bool,
    length: int,
) -> None:
    server.postgresql = postgresql
    project.tasks = {n: task(f"{n}.jpg") for n in range(1, 61)}
    for id_ in project.tasks:
        server.predictions += [(id_, chr(0x4E00 + n) * length) for n in range(id_)]
        # Cut at its end, as it is of tasks 29 and 41, the last one reads like this version.
        server.predictions.append((id_, f"{VERSION}-large" if id_ % 2 else VERSION))
    assert [item.task for item in target(label_studio).items()] == list(range(1, 61, 2))


@pytest.mark.parametrize("lost", [502, HANG_UP])
def test_label_studio_that_is_out_of_order_for_a_while_loses_and_doubles_nothing(
    server: LabelStudioServer, label_studio: LabelStudio, tmp_path: Path, lost: int
) -> None:
    """Of some calls nothing is done, and of others all, some time after they got no answer."""
    calls = count()
    server.fault = lambda _request: refusal(500) if next(calls) % 7 == 3 else None
    posts = count()

    def lose(request: Request) -> Reply | None:
        return refusal(lost) if request.method == "POST" and next(posts) % 5 == 2 else None

    server.lost_answer, server.late = lose, 4
    sink = target(label_studio)
    failures = Failures(Folder(tmp_path), "failed.csv", retry=False)
    tally: Counter[str] = Counter()
    items = list(sink.items())[:500]
    Writer(sink, failures, tally).write(map(predicted, items), lambda _outcome: None)
    server.finish()
    assert tally["predicted"] == 500
    assert Counter(server.predictions) == {(item.task, VERSION): 1 for item in items}


@pytest.mark.parametrize("lost", [504, HANG_UP])
def test_a_call_that_never_came_through_is_repeated(
    server: LabelStudioServer, label_studio: LabelStudio, lost: int
) -> None:
    posts = count()

    def lose(request: Request) -> Reply | None:
        return refusal(lost) if request.method == "POST" and not next(posts) else None

    server.fault = lose
    sink = target(label_studio)
    sink.settle_seconds = 0.1
    sink.write([predicted(Item("task 1", "", task=1))])
    assert server.predictions == [(1, VERSION)]


def test_what_failed_is_tried_again_as_soon_as_anything_about_it_is_another(
    server: LabelStudioServer, project: FakeProject, label_studio: LabelStudio, tmp_path: Path
) -> None:
    project.tasks = {1: task("1.jpg"), 2: task("2.jpg")}
    failures = Failures(Folder(tmp_path), "failed.csv", retry=False)
    failures.note([Outcome(item, None, "gone") for item in target(label_studio).items()])

    def tasks(label_studio: LabelStudio, version: str = VERSION) -> list[int | None]:
        known = Failures(Folder(tmp_path), "failed.csv", retry=False)
        items = ProjectSink(label_studio, 3, parse_label_config(CONFIG), version, 30).items()
        return [item.task for item in pending_items(items, (), known, Counter())]

    assert tasks(label_studio) == []
    assert tasks(label_studio, "model-3") == [1, 2]
    with LabelStudio(server.url.replace("127.0.0.1", "localhost"), TOKEN) as other:
        assert tasks(other) == [1, 2]
    project.tasks[2] = task("fixed.jpg")
    assert tasks(label_studio) == [2]


def test_a_task_that_was_deleted_meanwhile_is_left_out(
    server: LabelStudioServer, project: FakeProject, label_studio: LabelStudio
) -> None:
    sink = target(label_studio)
    items = list(sink.items())[:3]
    del project.tasks[2]
    sink.write([predicted(item) for item in items])
    assert server.predictions == [(1, VERSION), (3, VERSION)]


@pytest.mark.parametrize(("status", "requests"), [(500, 2), (403, 1)])
def test_what_does_not_pass_is_told(
    server: LabelStudioServer, label_studio: LabelStudio, status: int, requests: int
) -> None:
    server.fault = lambda _request: refusal(status)
    with pytest.raises(LabelStudioError, match=str(status)):
        target(label_studio, seconds=5).write([predicted(Item("task 1", "", task=1))])
    assert len(server.requests) >= requests
    assert server.predictions == []


def test_a_project_that_is_served_by_its_own_model_is_left_to_the_learner(
    server: LabelStudioServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    server.version = "learned-3-1-0123abcd"
    server.connect({"project": 3, "title": "Garments", "url": "http://s", "is_interactive": False})
    with (
        pytest.raises(SettingsError, match="project 3 is served by learned-3-1-0123abcd"),
        open_job(ProjectTasksSpec(3, 1), RunOptions()),
    ):
        pass
