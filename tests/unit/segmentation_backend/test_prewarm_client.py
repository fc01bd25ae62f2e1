"""The segmentation backend passes opened tasks on, and nothing of that is felt."""

import base64
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from ml_backend.errors import SettingsError
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.predictor import LONGEST_REFERENCE
from ml_backend.labelstudio.schemas import Task
from ml_backend.serving.metrics import Metrics
from ml_backend.serving.settings import read_settings
from segmentation_backend import prewarm_client as module
from segmentation_backend.prewarm_client import PrewarmClient
from segmentation_backend.settings import SegmentationSettings
from tests.support.http_server import Reply, Request, Server
from tests.support.processes import free_port
from tests.support.waiting import eventually

XML = """<View><Image name="image" value="$photo"/>
  <BrushLabels name="brush" toName="image"><Label value="Dress"/></BrushLabels></View>"""
CONFIG = parse_label_config(XML)


class Sam(Server):
    """A sam backend that takes tasks, or has troubles."""

    def __init__(self, port: int = 0) -> None:
        self.status = 202
        self.may_answer = threading.Event()
        self.may_answer.set()
        super().__init__(port)

    @property
    def prewarm_url(self) -> str:
        return f"{self.url}/prewarm"

    @property
    def bodies(self) -> list[Any]:
        return [request.json() for request in self.requests]

    def reply(self, _request: Request) -> Reply:
        assert self.may_answer.wait(30)
        return Reply(self.status)


def tasks(count: int) -> Sequence[Task]:
    return [
        Task(id=n, project=7, data={"photo": f"gs://b/{n}", "note": "long"}) for n in range(count)
    ]


def counted(metrics: Metrics, outcome: str) -> float:
    line = f'segstudio_relayed_tasks_total{{outcome="{outcome}"}} '
    found = [each for each in metrics.render().decode().splitlines() if each.startswith(line)]
    return float(found[0].rpartition(" ")[2]) if found else 0


def test_tasks_arrive_with_their_images_and_nothing_else_of_their_data() -> None:
    metrics = Metrics()
    with Sam() as sam:
        PrewarmClient(sam.prewarm_url, ("anna", "secret"), metrics).send(tasks(1), CONFIG)
        eventually(lambda: counted(metrics, "sent") == 1)
    task = {"id": 0, "project": 7, "data": {"photo": "gs://b/0"}}
    assert sam.bodies == [{"tasks": [task], "label_config": XML}]
    login = "Basic " + base64.b64encode(b"anna:secret").decode()
    assert [request.headers["Authorization"] for request in sam.requests] == [login]


def test_a_large_batch_arrives_whole_in_several_parts() -> None:
    metrics = Metrics()
    with Sam() as sam:
        PrewarmClient(sam.prewarm_url, None, metrics).send(tasks(120), CONFIG)
        eventually(lambda: counted(metrics, "sent") == 120)
    assert [task["id"] for body in sam.bodies for task in body["tasks"]] == list(range(120))
    assert len(sam.bodies) == 3


def test_tasks_without_an_image_or_with_a_whole_one_in_them_are_not_passed_on() -> None:
    metrics = Metrics()
    odd = [
        Task(id=1),
        Task(id=2, data={"photo": 5}),
        Task(id=3, data={"photo": "data:" + "x" * LONGEST_REFERENCE}),
    ]
    with Sam() as sam:
        PrewarmClient(sam.prewarm_url, None, metrics).send([*odd, *tasks(1)], CONFIG)
        eventually(lambda: counted(metrics, "sent") == 1)
    assert [task["id"] for task in sam.bodies[0]["tasks"]] == [0]


def test_many_tasks_that_hold_their_image_are_passed_on_all_the_same() -> None:
    metrics = Metrics()
    image = "data:" + "x" * (LONGEST_REFERENCE - 5)
    with Sam() as sam:
        PrewarmClient(sam.prewarm_url, None, metrics).send(
            [Task(id=n, data={"photo": image}) for n in range(60)], CONFIG
        )
        eventually(lambda: counted(metrics, "sent") == 60)
    assert counted(metrics, "dropped") == 0


def test_while_sam_hangs_sending_returns_at_once_and_the_oldest_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 2000)
    metrics = Metrics()
    with Sam() as sam:
        sam.may_answer.clear()
        relay = PrewarmClient(sam.prewarm_url, None, metrics)
        for _ in range(100):
            relay.send(tasks(1), CONFIG)
        dropped = counted(metrics, "dropped")
        assert dropped > 80
        sam.may_answer.set()
        eventually(lambda: counted(metrics, "sent") == 100 - dropped)


@pytest.mark.parametrize("status", [401, 404, 500, None])
def test_trouble_is_counted_and_over_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 0.01)
    metrics = Metrics()
    port = free_port()
    relay = PrewarmClient(f"http://127.0.0.1:{port}/prewarm", None, metrics)
    if status is None:
        relay.send(tasks(1), CONFIG)
        eventually(lambda: counted(metrics, "failed") == 1)
    with Sam(port) as sam:
        if status is not None:
            sam.status = status
            relay.send(tasks(1), CONFIG)
            eventually(lambda: counted(metrics, "failed") == 1)
        sam.status = 202
        relay.send(tasks(1), CONFIG)
        eventually(lambda: counted(metrics, "sent") == 1)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("http://sam:9090", "http://sam:9090/prewarm"),
        ("http://sam:9090/", "http://sam:9090/prewarm"),
        ("https://host/sam/prewarm", "https://host/sam/prewarm"),
    ],
)
def test_the_address_of_the_backend_is_enough(
    monkeypatch: pytest.MonkeyPatch, given: str, meant: str
) -> None:
    monkeypatch.setenv("SAM_PREWARM_URL", given)
    assert read_settings(SegmentationSettings).sam_prewarm_url == meant


@pytest.mark.parametrize(
    "wrong", ["sam:9090", "ftp://sam", "http://anna:secret@sam:9090", "http://sam:x/prewarm"]
)
def test_an_address_that_cannot_work_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("SAM_PREWARM_URL", wrong)
    with pytest.raises(SettingsError, match="SAM_PREWARM_URL") as error:
        read_settings(SegmentationSettings)
    assert "secret" not in str(error.value)
