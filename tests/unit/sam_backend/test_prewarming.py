"""Tasks that were opened are ready before they are clicked on, and nobody waits for that."""

import base64
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from ml_backend.errors import ModelError, TaskError
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.schemas import Task
from ml_backend.lru import LruCache
from ml_backend.serving.app import create_app
from ml_backend.serving.executor import ActivityGauge
from ml_backend.serving.metrics import Metrics
from sam_backend import routes
from sam_backend.metrics import SamMetrics
from sam_backend.models.base import Embedding
from sam_backend.predictor import SamPredictor
from sam_backend.prewarming import WAITING, Ahead, Prewarmer
from sam_backend.settings import SamSettings
from sam_backend.upcoming_tasks import REST_SECONDS, UpcomingTasks
from tests.support.file_server import FileServer
from tests.support.sam_calls import body, click
from tests.support.scenes import LABEL_CONFIG, FillModel, Pixels, data_uri, draw, soon, wait_until

CONFIG = parse_label_config(LABEL_CONFIG)


def task(number: int, image: str | None = None) -> Task:
    """A task whose image has the number in its first pixel."""
    scene = draw([(64, 48, 20)])
    scene[0, 0] = number
    return Task(id=number, project=3, data={"image": image or data_uri(scene)})


def number_of(image: Pixels) -> int:
    return int(image[0, 0, 0])


def make_predictor(model: FillModel, folder: Path) -> SamPredictor:
    store = LruCache[str, Embedding](1 << 24)
    host = "127.0.0.1"
    images = ImageSource(ImageSettings(image_cache_dir=folder, allowed_image_hosts=(host,)))
    return SamPredictor(model, images, store)


@pytest.fixture
def model() -> FillModel:
    return FillModel()


@pytest.fixture
def predictor(model: FillModel, tmp_path: Path) -> SamPredictor:
    return make_predictor(model, tmp_path)


def nothing_ahead(_task: Task) -> Sequence[Task]:
    return ()


def prewarmer(ahead: Ahead = nothing_ahead) -> tuple[Prewarmer, Metrics]:
    metrics = Metrics()
    return Prewarmer(SamMetrics(metrics), ahead), metrics


def count(metrics: Metrics, outcome: str) -> float:
    line = f'segstudio_prewarm_tasks_total{{outcome="{outcome}"}} '
    found = [each for each in metrics.render().decode().splitlines() if each.startswith(line)]
    return float(found[0].rpartition(" ")[2]) if found else 0


def test_each_task_is_told_of_in_order_and_the_second_time_it_is_there(
    predictor: SamPredictor, model: FillModel
) -> None:
    gone = task(3, "/data/upload/1/gone.png")
    tasks = [task(1), task(2), gone, task(1), Task(id=4)]
    outcomes = list(predictor.prewarm(tasks, label_config=CONFIG, deadline=soon()))
    assert [isinstance(each, TaskError) for each in outcomes] == [False, False, True, False, True]
    assert outcomes[:2] == ["made", "made"]
    assert sorted(map(number_of, model.embedded)) == [1, 2]
    again = predictor.prewarm(tasks[:2], label_config=CONFIG, deadline=soon())
    assert list(again) == ["kept", "kept"]
    assert len(model.embedded) == 2


def test_an_image_that_no_smart_tool_is_on_is_left_alone(
    predictor: SamPredictor, model: FillModel
) -> None:
    plain = parse_label_config(LABEL_CONFIG.replace('smart="true"', 'smart="false"'))
    assert list(predictor.prewarm([task(1)], label_config=plain, deadline=soon())) == ["kept"]
    assert model.embedded == []


def test_a_known_image_of_an_unchanging_reference_is_not_fetched_again(tmp_path: Path) -> None:
    name = "a" * 64
    model = FillModel()
    with FileServer() as server:
        server.files[f"/{name}.png"] = _png()
        reference = f"{server.url}/{name}.png"
        predictor = make_predictor(model, tmp_path / "one")
        _prewarm(predictor, reference, "made")
        for path in (tmp_path / "one").iterdir():
            path.unlink()
        _prewarm(predictor, reference, "kept")
        app = create_app(lambda: predictor, SamSettings())
        wait_until(lambda: app.test_client().get("/readyz").status_code == 200)
        answer = app.test_client().post("/predict", json=body(reference, click(50, 50)))
        assert answer.json
        assert answer.json["results"][0]["result"]
        assert len(server.asked) == 1


def test_a_copy_on_disk_stands_for_an_image_and_equal_images_are_prepared_once(
    predictor: SamPredictor, model: FillModel
) -> None:
    with FileServer() as server:
        server.files["/a.png"] = _png(1)
        server.files["/b.png"] = server.files["/c.png"] = _png(2)
        _prewarm(predictor, f"{server.url}/a.png", "made")
        _prewarm(predictor, f"{server.url}/a.png", "kept")
        assert len(server.asked) == 1
        _prewarm(predictor, f"{server.url}/b.png", "made")
        _prewarm(predictor, f"{server.url}/c.png", "kept")
    assert len(model.embedded) == 2


def _prewarm(predictor: SamPredictor, reference: str, outcome: str) -> None:
    found = predictor.prewarm([task(1, reference)], label_config=CONFIG, deadline=soon())
    assert list(found) == [outcome]


def _png(number: int = 1) -> bytes:
    scene = draw([(64, 48, 20)])
    scene[0, 0] = number
    return base64.b64decode(data_uri(scene).partition(",")[2])


def test_a_click_goes_before_all_that_is_only_prepared(
    predictor: SamPredictor, model: FillModel
) -> None:
    model.may_embed.clear()
    warmer, metrics = prewarmer()
    warmer.offer([task(number) for number in (1, 2, 3)], CONFIG)
    warmer.start(predictor)
    wait_until(lambda: model.embedded)
    app = create_app(lambda: predictor, SamSettings())
    wait_until(lambda: app.test_client().get("/readyz").status_code == 200)
    cold = body(str(task(9).data["image"]), click(50, 50))
    labeler = threading.Thread(target=lambda: app.test_client().post("/predict", json=cold))
    labeler.start()
    wait_until(lambda: predictor._labelers._served)
    model.may_embed.set()
    labeler.join()
    wait_until(lambda: count(metrics, "made") == 3)
    assert list(map(number_of, model.embedded)) == [1, 9, 2, 3]


def test_a_labeler_who_clicks_on_what_is_being_prepared_waits_for_that_one_work(
    predictor: SamPredictor, model: FillModel
) -> None:
    model.may_embed.clear()
    warmer, metrics = prewarmer()
    warmer.start(predictor)
    warmer.offer([task(1)], CONFIG)
    wait_until(lambda: model.embedded)
    app = create_app(lambda: predictor, SamSettings())
    wait_until(lambda: app.test_client().get("/readyz").status_code == 200)
    answers: list[Any] = []
    same = body(str(task(1).data["image"]), click(50, 50))
    labeler = threading.Thread(
        target=lambda: answers.append(app.test_client().post("/predict", json=same).json)
    )
    labeler.start()
    wait_until(lambda: predictor._labelers._served)
    model.may_embed.set()
    labeler.join()
    assert answers[0]["results"][0]["result"]
    assert len(model.embedded) == 1
    wait_until(lambda: count(metrics, "made") == 1)


def test_of_too_many_tasks_those_that_wait_longest_are_dropped_and_counted(
    predictor: SamPredictor, model: FillModel
) -> None:
    warmer, metrics = prewarmer()
    for number in range(WAITING + 10):
        warmer.offer([task(number % 256, f"/missing/{number}")], CONFIG)
    assert count(metrics, "dropped") == 10
    warmer.start(predictor)
    wait_until(lambda: count(metrics, "image_reference") == WAITING)


def test_the_tasks_ahead_are_prepared_after_those_that_were_opened(
    predictor: SamPredictor, model: FillModel
) -> None:
    def ahead(opened: Task) -> Sequence[Task]:
        return [task(11), task(12)] if opened.id == 1 else []

    warmer, metrics = prewarmer(ahead)
    warmer.offer([task(1), task(2)], CONFIG)
    warmer.start(predictor)
    wait_until(lambda: count(metrics, "made") == 4)
    assert list(map(number_of, model.embedded)) == [1, 2, 11, 12]


class LabelStudio:
    """Lists tasks as Label Studio does, where it is not broken."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        tasks = [{"id": number, "data": {"image": f"gs://b/{number}"}} for number in (8, 9)]
        return httpx.Response(self.status, json={"tasks": tasks})


def test_label_studio_is_asked_for_the_next_tasks_and_not_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("sam_backend.upcoming_tasks.time.monotonic", lambda: now[0])
    studio = LabelStudio()
    transport = httpx.MockTransport(studio)
    ahead = UpcomingTasks(httpx.Client(base_url="http://studio", transport=transport), 2)
    assert [each.id for each in ahead(task(7))] == [8, 9]
    assert ahead(task(8)) == ()
    assert ahead(Task(id=8)) == ()
    assert ahead(Task(id="8", project={"id": 3})) == ()
    now[0] += REST_SECONDS
    assert [each.data["image"] for each in ahead(task(8))] == ["gs://b/8", "gs://b/9"]
    assert len(studio.asked) == 2
    assert studio.asked[0].url.params["project"] == "3"
    assert '"value": 7' in studio.asked[0].url.params["query"]
    now[0] += REST_SECONDS
    studio.status = 500
    assert ahead(task(8)) == ()
    now[0] += REST_SECONDS
    assert ahead(task(8)) == ()
    assert len(studio.asked) == 3


def test_quiet_comes_when_the_last_labeler_is_served() -> None:
    quiet, done = ActivityGauge(), threading.Event()

    def wait() -> None:
        quiet.wait(soon())
        done.set()

    with quiet.serving(), quiet.serving():
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not done.wait(0.05)
    waiting.join()
    assert done.is_set()


def test_over_http_tasks_are_taken_at_once_and_with_wait_told_of(
    predictor: SamPredictor, model: FillModel
) -> None:
    warmer, metrics = prewarmer()
    warmer.start(predictor)
    app = create_app(lambda: predictor, SamSettings(max_tasks=2), metrics)
    app.extensions[routes.EXTENSION] = warmer
    app.register_blueprint(routes.blueprint)
    client = app.test_client()
    tasks = [{"id": 1, "data": dict(task(1).data)}, {"id": 2, "data": {}}, {"id": 3, "data": {}}]
    wanted = {"tasks": tasks, "label_config": LABEL_CONFIG}
    answer = client.post("/prewarm", json=wanted | {"wait": True})
    assert answer.json
    first, second, third = answer.json["results"]
    assert first == {"outcome": "made"}
    assert (second["outcome"], second["error"]) == ("failed", "image_reference")
    assert "MAX_TASKS" in third["reason"]
    model.may_embed.clear()
    assert client.post("/prewarm", json=wanted).status_code == 202
    wait_until(lambda: count(metrics, "kept") == 1)
    model.may_embed.set()
    assert client.post("/prewarm", json={"tasks": 5}).status_code == 400
    assert client.post("/prewarm", json=wanted | {"label_config": "<View/>"}).status_code == 422


def test_over_http_waiting_takes_a_place_in_the_queue_and_tells_why_there_is_no_model(
    predictor: SamPredictor, model: FillModel
) -> None:
    app = create_app(lambda: predictor, SamSettings(max_queue=1))
    app.register_blueprint(routes.blueprint)
    wanted = {"tasks": [task(1)], "label_config": LABEL_CONFIG, "wait": True}
    body = msgspec.json.encode(wanted)
    wait_until(lambda: app.test_client().get("/readyz").status_code == 200)
    model.may_embed.clear()
    first = threading.Thread(target=lambda: app.test_client().post("/prewarm", data=body))
    first.start()
    wait_until(lambda: model.embedded)
    assert app.test_client().post("/prewarm", data=body).status_code == 503
    model.may_embed.set()
    first.join()

    def fail() -> SamPredictor:
        raise ModelError("the weights are gone")

    broken = create_app(fail, SamSettings())
    broken.register_blueprint(routes.blueprint)
    wait_until(lambda: "gone" in broken.test_client().get("/readyz").text)
    assert "gone" in broken.test_client().post("/prewarm", data=body).text
