"""Connections of a project that no longer serve, against a Label Studio over HTTP."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from segstudio.gcs.client import GoogleSettings
from segstudio.labelstudio.client import LabelStudio
from segstudio.labelstudio.ml_backends import BackendPair, BasicAuth, connect_backends, connected
from segstudio.local.connection import LabelStudioAccess
from segstudio.local.doctor import Doctor
from tests.support.command_line import Run, records
from tests.support.json_server import Asked, JsonServer

SEGMENTATION, SAM = "http://127.0.0.1:7070", "http://127.0.0.1:9090"
THIRD = {"title": "Faces", "url": "http://faces:1", "is_interactive": False}


class Project(JsonServer):
    """A project's backends, as Label Studio 1.23.2 keeps them.

    Attributes:
        password: What the backends ask for just now.
        backends: As they were connected, by id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.password = "old"
        self.backends: dict[int, dict[str, Any]] = {}
        self._ids = count(1)

    def reply(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "DELETE":
            del self.backends[int(asked.path.rpartition("/")[2])]
            return 204, None
        if asked.method == "POST":
            if "project" not in asked.body:
                return 400, {"detail": "project: This field is required."}
            return 201, self.connect(asked.body)
        backends = [self.told(each) for each in self.backends.values()]
        shown = {"show_collab_predictions": True, "model_version": "Garments"}
        texts = {"id": 3, "title": "", "description": "", "label_config": ""}
        counted = ("task_number", "total_annotations_number", "skipped_annotations_number")
        counts = dict.fromkeys(counted, 0)
        answers: dict[str, Any] = {
            "/api/ml": backends,
            "/api/projects/3": {**texts, **counts, **shown},
            "/api/version": {"release": "1.23.2"},
            "/api/current-user/whoami": {"email": "anna@example.org"},
        }
        return 200, answers.get(asked.path, [])

    def connect(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take a backend, as ``POST /api/ml`` does."""
        id_ = next(self._ids)
        self.backends[id_] = {"id": id_, **body}
        return self.told(self.backends[id_])

    def told(self, backend: dict[str, Any]) -> dict[str, Any]:
        """Ask a backend, and tell of it; never the password."""
        hidden = {name: each for name, each in backend.items() if name != "basic_auth_pass"}
        good = backend.get("basic_auth_pass", "") == self.password
        answer = {"state": "CO" if good else "DI", "error_message": None, "model_version": "v1"}
        return {"basic_auth_user": None, **hidden, **answer}

    def titles(self) -> list[str]:
        """In the order they were connected in."""
        return [each["title"] for each in self.backends.values()]


@pytest.fixture
def project() -> Iterator[Project]:
    project = Project()
    yield project
    project.stop()


@pytest.fixture
def label_studio(project: Project) -> Iterator[LabelStudio]:
    with LabelStudio(project.url, "0" * 40) as client:
        yield client


def pair(password: str = "old") -> BackendPair:
    return BackendPair(SEGMENTATION, SAM, login=BasicAuth("anna", password))


def red(project: Project) -> list[str]:
    """What the doctor finds wrong with the project's backends."""
    access = LabelStudioAccess(project.url, "0" * 40)
    google = GoogleSettings(google_application_credentials_base64=None)
    checks = Doctor(access, pair(), 3, (), google, ()).checks()
    here = ("segmentation backend", "sam backend")
    return [c.subject for c in checks if c.status == "error" and c.subject not in here]


def test_backends_whose_password_has_changed_are_connected_again(
    project: Project, label_studio: LabelStudio
) -> None:
    assert connect_backends(label_studio, 3, pair())
    assert not connect_backends(label_studio, 3, pair())
    project.password = "new"
    assert red(project) == ["Garments from Label Studio", "Smart tools from Label Studio"]
    assert connect_backends(label_studio, 3, pair("new"))
    assert project.titles() == ["Garments", "Smart tools"]
    assert [each.works for each in connected(label_studio, 3, pair()).values()] == [True, True]
    assert red(project) == []


def test_the_status_of_a_project_is_red_until_both_backends_work_there(
    project: Project, label_studio: LabelStudio, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", project.url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)
    before = run("backends", "status", "--project", 3)
    assert before.exit_code == 3
    assert "segstudio backends connect --project 3" in before.stdout
    connect_backends(label_studio, 3, pair())
    connected = run("backends", "status", "--project", 3, "--json")
    assert connected.exit_code == 0
    (record,) = records(connected)
    assert [each["ready"] for each in record["backends"]] == [True, True]
    project.password = "new"
    after = run("backends", "status", "--project", 3)
    assert after.exit_code == 3
    assert f"✗ Garments {SEGMENTATION}" in after.stdout
    assert project.titles() == ["Garments", "Smart tools"]


def test_a_backend_of_somebody_else_is_left_alone_and_not_held_against_ours(
    project: Project, label_studio: LabelStudio
) -> None:
    connect_backends(label_studio, 3, pair())
    project.connect(THIRD)
    assert red(project) == []
    assert not connect_backends(label_studio, 3, pair())
    assert project.titles() == ["Garments", "Smart tools", "Faces"]


def test_backends_connected_by_hand_are_seen_by_their_address_and_replaced(
    project: Project, label_studio: LabelStudio
) -> None:
    login = {"basic_auth_user": "anna", "basic_auth_pass": "old"}
    for title, url, interactive in (("my sam", SAM, True), ("my masks", SEGMENTATION, False)):
        project.connect({"title": title, "url": url, "is_interactive": interactive, **login})
    assert red(project) == ["backends of project 3"]
    assert connect_backends(label_studio, 3, pair())
    assert project.titles() == ["Garments", "Smart tools"]
    assert red(project) == []
