"""``segstudio prewarm`` against a Label Studio and a sam backend over HTTP."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.command_line import Run, records
from tests.support.http_server import Reply, Request, Server, json_reply
from tests.support.label_studio_server import LabelStudioServer, task

CONFIG = """<View><Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image"><Label value="Dress"/></BrushLabels></View>"""

Result = dict[str, str]
MADE, KEPT = {"outcome": "made"}, {"outcome": "kept"}


class Sam(Server):
    """A sam backend that prepares tasks as it is told to.

    Attributes:
        images: Those asked for, call by call.
        status: Of all answers.
        busy: How many calls it puts off before it answers again.
    """

    def __init__(self) -> None:
        self.images: list[list[str]] = []
        self.done: set[str] = set()
        self.decide: Callable[[str], Result | None] = lambda _image: None
        self.status = 200
        self.busy = 0
        super().__init__()

    def reply(self, request: Request) -> Reply:
        if self.busy:
            self.busy -= 1
            return Reply(503, headers={"Retry-After": "0"})
        body = request.json()
        assert body["wait"] is True
        assert body["label_config"] == CONFIG
        images = [each["data"]["image"] for each in body["tasks"]]
        self.images.append(images)
        return json_reply({"results": [self._one(image) for image in images]}, self.status)

    def _one(self, image: str) -> Result:
        if decided := self.decide(image):
            return decided
        result = KEPT if image in self.done else MADE
        self.done.add(image)
        return result


@pytest.fixture
def sam(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sam]:
    with Sam() as sam:
        monkeypatch.setenv("SAM_PORT", str(sam.port))
        yield sam


@pytest.fixture
def project(label_studio: LabelStudioServer) -> int:
    return label_studio.add(CONFIG, [task(f"{number}.jpg") for number in range(1, 234)])


def test_all_images_are_prepared_once_and_the_second_run_finds_them(
    run: Run, sam: Sam, project: int
) -> None:
    first = run("prewarm", "--project", project)
    assert first.exit_code == 0
    assert "233 images prepared, 0 already prepared, 0 failed" in first.stdout
    asked = sorted(image for images in sam.images for image in images)
    assert asked == sorted(f"gs://looks/{number}.jpg" for number in range(1, 234))
    assert max(map(len, sam.images)) <= 10
    (record,) = records(run("prewarm", "--project", project, "--json"))
    assert (record["made"], record["kept"], record["failed"]) == (0, 233, 0)


def test_failures_are_named_counted_by_reason_and_end_in_3(
    run: Run, sam: Sam, project: int
) -> None:
    gone = {"outcome": "failed", "error": "image_fetch", "reason": "HTTP 404"}
    sam.decide = lambda image: gone if image.endswith("/7.jpg") else None
    result = run("prewarm", "--project", project, "--json")
    assert result.exit_code == 3
    failed, outcome = records(result)
    assert failed["failed"] == "HTTP 404"
    assert failed["task"] % 1000 == 7
    assert (outcome["made"], outcome["reasons"]) == (232, {"image_fetch": 1})


def test_what_was_too_late_is_asked_for_again_as_long_as_anything_gets_done(
    run: Run, sam: Sam, project: int
) -> None:
    late = {"outcome": "failed", "error": "budget", "reason": "timed out waiting for labelers"}
    asked: set[str] = set()

    def decide(image: str) -> Result | None:
        if image in asked or image.endswith("0.jpg"):
            return None
        asked.add(image)
        return late

    sam.decide = decide
    *_, record = records(run("prewarm", "--project", project, "--json"))
    assert (record["made"], record["failed"]) == (230, 3)  # the last call had no other task
    sam.decide = lambda _image: late
    assert run("prewarm", "--project", project, "--json").exit_code == 3


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_backend_that_cannot_is_said_so(run: Run, sam: Sam, project: int, status: int) -> None:
    sam.status = status
    result = run("prewarm", "--project", project)
    assert result.exit_code == 1
    assert "error: http://127.0.0.1" in result.stderr


def test_a_busy_backend_is_asked_again_when_it_says(run: Run, sam: Sam, project: int) -> None:
    sam.busy = 3
    (record,) = records(run("prewarm", "--project", project, "--json"))
    assert (record["made"], record["failed"]) == (233, 0)


def test_a_backend_that_stays_busy_is_not_asked_for_ever(run: Run, sam: Sam, project: int) -> None:
    sam.busy = 1_000
    result = run("prewarm", "--project", project)
    assert result.exit_code == 1
    assert "Service Unavailable" in result.stderr
    assert 0 < sam.busy < 1_000


def test_the_project_and_its_login_go_along(
    run: Run, sam: Sam, label_studio: LabelStudioServer, project: int
) -> None:
    label_studio.projects[project].login = ("anna", "s3cret")
    result = run("prewarm", "--project", project)
    assert "s3cret" not in result.output
    tasks = [each for request in sam.requests for each in request.json()["tasks"]]
    assert {each["project"] for each in tasks} == {project}
    assert {tuple(each["task_data_login"]) for each in tasks} == {("anna", "s3cret")}
