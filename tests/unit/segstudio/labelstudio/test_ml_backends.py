"""Connections of a project that no longer serve, against a Label Studio over HTTP."""

from collections.abc import Iterator

import pytest

from ml_backend.labelstudio.client import UNCERTAINTY, LabelStudio
from segstudio.gcs.client import GoogleSettings
from segstudio.labelstudio.ml_backends import BackendPair, BasicAuth, connect_backends, connected
from segstudio.local.connection import LabelStudioAccess
from segstudio.local.doctor import Doctor
from tests.support.command_line import Run, records
from tests.support.label_studio_server import TOKEN, LabelStudioServer

SEGMENTATION, SAM = "http://127.0.0.1:7070", "http://127.0.0.1:9090"
THIRD = {"project": 3, "title": "Faces", "url": "http://faces:1", "is_interactive": False}


@pytest.fixture
def client(label_studio: LabelStudioServer) -> Iterator[LabelStudio]:
    """Of a Label Studio with project 3, whose backends have the password ``old``."""
    assert label_studio.add("") == 3
    label_studio.password = "old"
    with LabelStudio(label_studio.url, TOKEN) as client:
        yield client


def titles(label_studio: LabelStudioServer) -> list[str]:
    """Of the backends, in the order they were connected in."""
    return [each["title"] for each in label_studio.backends.values()]


def pair(password: str = "old") -> BackendPair:
    return BackendPair(SEGMENTATION, SAM, login=BasicAuth("anna", password))


def red(label_studio: LabelStudioServer) -> list[str]:
    """What the doctor finds wrong with the project's backends."""
    access = LabelStudioAccess(label_studio.url, TOKEN)
    google = GoogleSettings(google_application_credentials_base64=None)
    checks = Doctor(access, pair(), 3, (), google, ()).checks()
    here = ("segmentation backend", "sam backend")
    return [c.subject for c in checks if c.status == "error" and c.subject not in here]


def test_backends_whose_password_has_changed_are_connected_again(
    label_studio: LabelStudioServer, client: LabelStudio
) -> None:
    assert connect_backends(client, 3, pair())
    assert not connect_backends(client, 3, pair())
    label_studio.password = "new"
    assert red(label_studio) == ["Garments from Label Studio", "Smart tools from Label Studio"]
    assert connect_backends(client, 3, pair("new"))
    assert titles(label_studio) == ["Garments", "Smart tools"]
    assert [each.works for each in connected(client, 3, pair()).values()] == [True, True]
    assert red(label_studio) == []


def test_with_uncertainty_sampling_the_title_is_the_version_and_stays_so(
    label_studio: LabelStudioServer, client: LabelStudio
) -> None:
    label_studio.projects[3].sampling = UNCERTAINTY
    label_studio.version = "segmentation-embedded-2"
    assert connect_backends(client, 3, pair())
    assert titles(label_studio) == ["segmentation-embedded-2", "Smart tools"]
    assert label_studio.projects[3].model_version == "segmentation-embedded-2"
    label_studio.version = "learned-3-1-0123abcd"
    assert not connect_backends(client, 3, pair())
    assert titles(label_studio) == ["learned-3-1-0123abcd", "Smart tools"]
    assert label_studio.projects[3].model_version == "learned-3-1-0123abcd"


def test_the_status_of_a_project_is_red_until_both_backends_work_there(
    label_studio: LabelStudioServer, client: LabelStudio, run: Run
) -> None:
    before = run("backends", "status", "--project", 3)
    assert before.exit_code == 3
    assert "segstudio backends connect --project 3" in before.stdout
    connect_backends(client, 3, pair())
    connected = run("backends", "status", "--project", 3, "--json")
    assert connected.exit_code == 0
    (record,) = records(connected)
    assert [each["ready"] for each in record["backends"]] == [True, True]
    label_studio.password = "new"
    after = run("backends", "status", "--project", 3)
    assert after.exit_code == 3
    assert f"✗ Garments {SEGMENTATION}" in after.stdout
    assert titles(label_studio) == ["Garments", "Smart tools"]


def test_a_backend_of_somebody_else_is_left_alone_and_not_held_against_ours(
    label_studio: LabelStudioServer, client: LabelStudio
) -> None:
    connect_backends(client, 3, pair())
    label_studio.connect(THIRD)
    assert red(label_studio) == []
    assert not connect_backends(client, 3, pair())
    assert titles(label_studio) == ["Garments", "Smart tools", "Faces"]


def test_backends_connected_by_hand_are_seen_by_their_address_and_replaced(
    label_studio: LabelStudioServer, client: LabelStudio
) -> None:
    login = {"basic_auth_user": "anna", "basic_auth_pass": "old"}
    for title, url, interactive in (("my sam", SAM, True), ("my masks", SEGMENTATION, False)):
        body = {"project": 3, "title": title, "url": url, "is_interactive": interactive, **login}
        label_studio.connect(body)
    assert red(label_studio) == ["backends of project 3"]
    assert connect_backends(client, 3, pair())
    assert titles(label_studio) == ["Garments", "Smart tools"]
    assert red(label_studio) == []
