"""``segstudio doctor --task``: the image of a task, fetched as the backends fetch it."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.asking import CONFIG
from tests.support.command_line import Run, records
from tests.support.http_server import Reply, Request, Server
from tests.support.label_studio_server import LabelStudioServer, refusal, task
from tests.support.pictures import png

Step = tuple[str, str, str, str]


@pytest.fixture
def web() -> Iterator[Server]:
    with Server() as server:
        server.replies["/a.png"] = Reply(body=png(), headers={"Content-Type": "image/png"})
        yield server


@pytest.fixture(autouse=True)
def _settings(web: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALLOWED_IMAGE_HOSTS", web.host)
    monkeypatch.setenv("IMAGE_CACHE_DIR", str(tmp_path / "cache"))


def steps(run: Run, label_studio: LabelStudioServer, reference: object, code: int) -> list[Step]:
    """What doctor reports of a task with this reference, after version and token."""
    id_ = label_studio.add(CONFIG, [{**task("a"), "data": {"image": reference}}])
    (number,) = label_studio.projects[id_].tasks
    result = run("doctor", "--json", "--task", number)
    assert result.exit_code == code, result.output
    (outcome,) = records(result)
    found = [(c["what"], c["state"], c["told"], c["fix"]) for c in outcome["checks"]]
    assert [each[0] for each in found[:3]] == ["Label Studio", "token", f"task {number}"]
    return found[3:]


def test_each_request_is_reported_and_what_was_shown_with_it(
    run: Run, label_studio: LabelStudioServer, web: Server, tmp_path: Path
) -> None:
    web.replies["/moved.png"] = Reply(302, headers={"Location": "/a.png"})
    where, moved, fetched, decoded = steps(
        run, label_studio, f"{web.url}/moved.png?X-Amz-Signature=s3cret", 0
    )
    assert where[2] == f"{web.url}/moved.png?…: on a web server"
    assert moved[0] == f"GET {web.url}/moved.png?…"
    assert moved[2].startswith("HTTP 302 from 127.0.0.1, shown no credentials")
    assert fetched[2] == "HTTP 200 from 127.0.0.1, shown no credentials: image/png"
    assert decoded[2].startswith("6 x 4 pixels")
    assert not (tmp_path / "cache").exists()


def test_an_object_of_a_storage_is_asked_of_label_studio(
    run: Run, label_studio: LabelStudioServer, web: Server
) -> None:
    def presign(request: Request) -> Reply | None:
        if "/presign/" not in request.route:
            return None
        assert base64.urlsafe_b64decode(request.query["fileuri"]) == b"s3://photos/a.png"
        return Reply(303, headers={"Location": f"{web.url}/a.png?X-Amz-Signature=s3cret"})

    label_studio.fault = presign
    where, asked, fetched, _ = steps(run, label_studio, "s3://photos/a.png", 0)
    assert where[2] == "s3://photos/a.png: an object that Label Studio is asked for"
    assert "shown the token" in asked[2]
    assert "shown no credentials" in fetched[2]
    label_studio.fault = lambda request: refusal(404) if "/presign/" in request.route else None
    *_, failed = steps(run, label_studio, "s3://other/a.png", 3)
    assert failed[1:3] == ("bad", "Label Studio has no storage with s3://other/a.png")
    assert "source cloud storage" in failed[3]


def test_the_login_of_the_project_is_used(
    run: Run, label_studio: LabelStudioServer, web: Server
) -> None:
    label_studio.add(CONFIG)
    id_ = label_studio.add(CONFIG, [{**task("a"), "data": {"image": f"{web.url}/a.png"}}])
    label_studio.projects[id_].login = ("anna", "s3cret")
    (number,) = label_studio.projects[id_].tasks
    result = run("doctor", "--task", number)
    assert result.exit_code == 0
    assert "shown the project's login" in result.stdout
    assert "s3cret" not in result.output
    expected = f"Basic {base64.b64encode(b'anna:s3cret').decode()}"
    assert web.requests[-1].headers["Authorization"] == expected


@pytest.mark.parametrize(
    ("reference", "told", "fix"),
    [
        ("http://10.0.0.1/a.png", "not a public address", "ALLOWED_IMAGE_HOSTS"),
        ("ftp://host/a.png", "not a reference we can follow", "https"),
        (None, "no image under 'image'", "import the task"),
        ("data:image/heic;base64,AAAAGGZ0eXBoZWljAAAAAA==", "HEIC", "convert it to JPEG"),
    ],
)
def test_what_cannot_be_had_has_its_reason_and_the_way_out(
    reference: object, told: str, fix: str, run: Run, label_studio: LabelStudioServer
) -> None:
    failed = steps(run, label_studio, reference, 3)[-1]
    assert failed[1] == "bad"
    assert told in failed[2]
    assert fix in failed[3]


@pytest.mark.usefixtures("label_studio")
def test_a_task_that_is_not_there_is_named(run: Run) -> None:
    result = run("doctor", "--task", 99)
    assert result.exit_code == 3
    assert re.search("✗ +task 99 ", result.stdout)
