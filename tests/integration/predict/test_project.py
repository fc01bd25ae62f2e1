"""Predictions come into a project once, however Label Studio behaves."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from ml_backend.errors import LabelStudioError
from segstudio.data.store import Folder
from segstudio.labelstudio.client import LabelStudio
from segstudio.predict.failures import Failures
from segstudio.predict.items import Item, Outcome
from segstudio.predict.job import Writer, pending_items
from segstudio.predict.project_sink import ProjectSink
from tests.support.json_server import HANG_UP
from tests.support.project_server import ProjectServer

VERSION = "model-2"
TASKS = 1200


@pytest.fixture
def server() -> Iterator[ProjectServer]:
    server = ProjectServer({n: {"image": f"gs://looks/{n}.jpg"} for n in range(1, TASKS + 1)})
    yield server
    server.stop()


@pytest.fixture
def label_studio(server: ProjectServer) -> Iterator[LabelStudio]:
    with LabelStudio(server.url, "token") as label_studio:
        yield label_studio


def target(label_studio: LabelStudio, seconds: float = 30) -> ProjectSink:
    return ProjectSink(label_studio, 3, "image", VERSION, seconds)


def predicted(item: Item) -> Outcome:
    return Outcome(item, {"result": [], "score": 0.5, "model_version": VERSION})


@pytest.mark.parametrize("postgresql", [False, True])
def test_tasks_come_page_by_page_less_those_that_have_this_version(
    server: ProjectServer, label_studio: LabelStudio, postgresql: bool
) -> None:
    server.postgresql = postgresql
    server.predictions = [(5, VERSION), (6, "model-1"), (7, "model-1"), (7, VERSION)]
    items = list(target(label_studio).items())
    assert [item.task for item in items] == [n for n in range(1, TASKS + 1) if n not in (5, 7)]
    assert items[0].reference == "gs://looks/1.jpg"


@pytest.mark.parametrize("postgresql", [False, True])
@pytest.mark.parametrize("length", [8, 16])
def test_a_task_of_so_many_versions_that_label_studio_cuts_them_off_gets_this_one_once(
    server: ProjectServer, label_studio: LabelStudio, postgresql: bool, length: int
) -> None:
    server.postgresql = postgresql
    server.tasks = {n: {"image": ""} for n in range(1, 61)}
    for task in server.tasks:
        server.predictions += [(task, chr(0x4E00 + n) * length) for n in range(task)]
        # Cut at its end, as it is of tasks 29 and 41, the last one reads like this version.
        server.predictions.append((task, f"{VERSION}-large" if task % 2 else VERSION))
    assert [item.task for item in target(label_studio).items()] == list(range(1, 61, 2))


@pytest.mark.parametrize("lost", [502, HANG_UP])
def test_label_studio_that_is_out_of_order_for_a_while_loses_and_doubles_nothing(
    server: ProjectServer, label_studio: LabelStudio, tmp_path: Path, lost: int
) -> None:
    """Of some calls nothing is done, and of others all, some time after they got no answer."""
    calls = count()
    server.fault = lambda _method: 500 if next(calls) % 7 == 3 else None
    posts = count()
    server.lost_answer = lambda method: lost if method == "POST" and next(posts) % 5 == 2 else None
    server.late = 4
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
    server: ProjectServer, label_studio: LabelStudio, lost: int
) -> None:
    posts = count()
    server.fault = lambda method: lost if method == "POST" and not next(posts) else None
    sink = target(label_studio)
    sink.settle_seconds = 0.1
    sink.write([predicted(Item("task 1", "", task=1))])
    assert server.predictions == [(1, VERSION)]


def test_what_failed_is_tried_again_as_soon_as_anything_about_it_is_another(
    server: ProjectServer, label_studio: LabelStudio, tmp_path: Path
) -> None:
    server.tasks = {1: {"image": "gs://looks/1.jpg"}, 2: {"image": "gs://looks/2.jpg"}}
    failures = Failures(Folder(tmp_path), "failed.csv", retry=False)
    failures.note([Outcome(item, None, "gone") for item in target(label_studio).items()])

    def tasks(label_studio: LabelStudio, version: str = VERSION) -> list[int | None]:
        known = Failures(Folder(tmp_path), "failed.csv", retry=False)
        items = ProjectSink(label_studio, 3, "image", version, 30).items()
        return [item.task for item in pending_items(items, (), known, Counter())]

    assert tasks(label_studio) == []
    assert tasks(label_studio, "model-3") == [1, 2]
    with LabelStudio(server.url.replace("127.0.0.1", "localhost"), "token") as other:
        assert tasks(other) == [1, 2]
    server.tasks[2] = {"image": "gs://looks/mended.jpg"}
    assert tasks(label_studio) == [2]


def test_a_task_that_was_deleted_meanwhile_is_left_out(
    server: ProjectServer, label_studio: LabelStudio
) -> None:
    sink = target(label_studio)
    items = list(sink.items())[:3]
    del server.tasks[2]
    sink.write([predicted(item) for item in items])
    assert server.predictions == [(1, VERSION), (3, VERSION)]


@pytest.mark.parametrize(("status", "requests"), [(500, 2), (403, 1)])
def test_what_does_not_pass_is_told(
    server: ProjectServer, label_studio: LabelStudio, status: int, requests: int
) -> None:
    seen: list[str] = []
    server.fault = lambda method: seen.append(method) or status  # type: ignore[func-returns-value]
    with pytest.raises(LabelStudioError, match=str(status)):
        target(label_studio, seconds=5).write([predicted(Item("task 1", "", task=1))])
    assert len(seen) >= requests
    assert server.predictions == []
