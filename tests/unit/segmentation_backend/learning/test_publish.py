"""A version's predictions reach the tasks that labelers get next, and no others."""

from collections.abc import Iterator, Sequence

import pytest

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageFetchError, TaskError
from ml_backend.labelstudio.client import UNCERTAINTY, LabelStudio
from ml_backend.labelstudio.label_config import LabelConfig
from ml_backend.labelstudio.prompts import Context
from ml_backend.labelstudio.schemas import Prediction, Task
from ml_backend.labelstudio.shown_version import show_version
from segmentation_backend.learning.publish import PORTION, Publisher
from tests.support.drawn import CONFIG
from tests.support.label_studio_server import (
    TOKEN,
    FakeProject,
    LabelStudioServer,
    annotation,
    task,
)
from tests.unit.segmentation_backend.learning.test_examples import Drops

OLD, NEW = "learned-3-1-00000000", "learned-3-2-11111111"


class Empty:
    """Finds nothing on any image, and fails on those of ``broken``."""

    classes = ("background", "dress")
    learns = True
    reads_text = False

    def __init__(self) -> None:
        self.model_version = NEW
        self.asked: list[int] = []
        self.broken: set[int] = set()

    def for_project(self, project: object) -> "Empty":
        return self

    def check(self, label_config: LabelConfig) -> str:
        return ""

    def predict(
        self,
        tasks: Sequence[Task],
        context: Context | None,
        *,
        label_config: LabelConfig,
        deadline: Deadline,
    ) -> Iterator[Prediction | TaskError | None]:
        for each in tasks:
            self.asked.append(int(str(each.id)))
            if each.id in self.broken:
                yield ImageFetchError("it is gone")
            else:
                yield Prediction(result=[], score=0.5, model_version=self.model_version)


class Bench:
    """A project of unfinished tasks, and what publishes for it."""

    def __init__(self, server: LabelStudioServer, client: LabelStudio) -> None:
        self.server = server
        self.client = client
        self.predictor = Empty()
        self.progress = Drops()
        server.version = OLD
        server.add(CONFIG, [task(f"{n}.png") for n in range(PORTION + 3)])
        server.connect(
            {"project": 3, "title": "Garments", "url": "http://seg:7070", "is_interactive": False}
        )

    @property
    def project(self) -> FakeProject:
        return self.server.projects[3]

    @property
    def ids(self) -> list[int]:
        return list(self.project.tasks)

    def predicted(self, version: str, *ids: int) -> None:
        body = [{"task": id_, "model_version": version} for id_ in ids]
        self.client.call("POST", "/api/projects/3/import/predictions", json=body)

    def publish(self, portions: int = 99) -> bool:
        left = iter(range(portions))
        publisher = Publisher(self.client, self.predictor, lambda: next(left, None) is not None)
        return publisher.publish(self.client.project(3), self.progress)

    def versions(self, id_: int) -> list[str]:
        return [version for each, version in self.server.predictions if each == id_]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with LabelStudioServer() as server, LabelStudio(server.url, TOKEN) as client:
        yield Bench(server, client)


def test_unfinished_tasks_get_the_new_version_and_lose_our_older_ones(bench: Bench) -> None:
    first = bench.ids[0]
    bench.predicted(OLD, first)
    bench.predicted("segmentation-embedded-2", first)
    bench.predicted("somebody else's", first)
    assert bench.publish()
    assert bench.versions(first) == ["somebody else's", NEW]
    assert all(bench.versions(id_) == [NEW] for id_ in bench.ids[1:])


def test_finished_and_skipped_tasks_stay_untouched(bench: Bench) -> None:
    done, skipped, *_ = bench.ids
    bench.project.tasks[done]["annotations"] = [annotation(1)]
    bench.project.tasks[skipped]["annotations"] = [annotation(2, skipped=True)]
    bench.predicted(OLD, done, skipped)
    assert bench.publish()
    assert bench.versions(done) == bench.versions(skipped) == [OLD]


def test_a_run_that_is_ended_is_continued_and_doubles_nothing(bench: Bench) -> None:
    assert not bench.publish(portions=1)
    assert len(bench.server.predictions) == PORTION
    assert bench.publish()
    assert sorted(id_ for id_, _ in bench.server.predictions) == bench.ids


def test_tasks_are_predicted_in_their_order_or_the_least_certain_first(bench: Bench) -> None:
    bench.publish()
    assert bench.predictor.asked == bench.ids
    bench.predictor.asked.clear()
    bench.predictor.model_version = "learned-3-3-22222222"
    bench.project.sampling = UNCERTAINTY
    scores = {bench.ids[4]: 0.1, bench.ids[2]: 0.3, bench.ids[7]: 0.2}
    for id_ in bench.ids:
        bench.project.tasks[id_]["predictions_score"] = scores.get(id_, 0.9)
    del bench.project.tasks[bench.ids[9]]["predictions_score"]
    bench.publish()
    first = [bench.ids[n] for n in (9, 4, 7, 2)]
    assert bench.predictor.asked[:4] == first


def test_a_task_that_fails_is_one_line_and_the_others_are_predicted(bench: Bench) -> None:
    bench.predictor.broken = {bench.ids[1]}
    assert bench.publish()
    assert bench.progress.lines == [f"task {bench.ids[1]}: it is gone"]
    assert len(bench.server.predictions) == len(bench.ids) - 1


@pytest.mark.parametrize(
    ("sampling", "before", "title", "after"),
    [
        ("Sequential sampling", "Garments", "Garments", "Garments"),
        ("Sequential sampling", None, "Garments", "Garments"),
        ("Sequential sampling", OLD, "Garments", "Garments"),
        ("Sequential sampling", "somebody else's", "Garments", "somebody else's"),
        (UNCERTAINTY, "Garments", NEW, NEW),
        (UNCERTAINTY, None, NEW, NEW),
        (UNCERTAINTY, OLD, NEW, NEW),
        (UNCERTAINTY, "somebody else's", "Garments", "somebody else's"),
    ],
)
def test_what_labelers_see_is_the_title_which_is_the_version_for_uncertainty_sampling(
    bench: Bench, sampling: str, before: str | None, title: str, after: str
) -> None:
    bench.project.sampling, bench.project.model_version = sampling, before
    show_version(bench.client, 3, NEW)
    (connection,) = bench.client.connections(3).values()
    assert (connection.title, bench.project.model_version) == (title, after)


def test_the_connection_of_another_backend_is_left_alone(bench: Bench) -> None:
    bench.server.version, bench.project.sampling = "faces-1", UNCERTAINTY
    show_version(bench.client, 3, NEW)
    (connection,) = bench.client.connections(3).values()
    assert (connection.title, bench.project.model_version) == ("Garments", "Garments")


def test_predictions_that_somebody_switched_off_stay_off(bench: Bench) -> None:
    bench.project.counts = {"show_collab_predictions": 0}
    bench.project.model_version = None
    show_version(bench.client, 3, NEW)
    assert bench.project.model_version is None
