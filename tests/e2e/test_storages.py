"""Images in storages that only Label Studio has keys of, and under its other addresses."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_backend.labelstudio.client import LabelStudio, NewTask
from segstudio.labelstudio.ml_backends import BackendPair, connect_backends
from segstudio.local.demo_project import TEMPLATE, find_or_create
from synthetic.people import Figure
from tests.e2e.conftest import Outside
from tests.e2e.test_lifecycle import backend_urls
from tests.support.asking import box
from tests.support.command_line import Run
from tests.support.http_server import Reply, Request
from tests.support.photographs import save_plain
from tests.support.processes import free_port
from tests.support.storage_servers import (
    AZURE_ACCOUNT,
    AZURE_HOST,
    AZURE_KEY,
    S3,
    AzureBlobs,
    running_azure,
    running_s3,
)
from tests.support.studio import Studio

pytestmark = pytest.mark.timeout(1200)

NAME = "sub folder/ü +1.jpg"


@pytest.fixture(scope="module")
def s3(outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running_s3(outside.s3_port, tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def azure(outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureBlobs]:
    folder, port = tmp_path_factory.mktemp("azure"), free_port()
    outside.proxy.connects_to = {f"{AZURE_HOST}:443": ("127.0.0.1", port)}.get
    with running_azure(port, outside.certificate, folder) as server:
        yield server


@pytest.fixture(scope="module")
def project(studio: Studio) -> Iterator[int]:
    """A project of its own, connected to both backends."""
    with studio.api() as api:
        project = find_or_create(api, None, TEMPLATE.read_text())
        connect_backends(api, project, BackendPair(*backend_urls(studio)))
        yield project
        api.call("DELETE", f"/api/projects/{project}")


def connect(api: LabelStudio, project: int, kind: str, presign: bool, **fields: Any) -> int:
    """Connect a storage as the source of a project, and make its tasks; returns its ID."""
    body = {"project": project, "use_blob_urls": True, "presign": presign, "prefix": "sub folder"}
    storage: int = api.call("POST", f"/api/storages/{kind}/", json={**body, **fields})["id"]
    done = api.call("POST", f"/api/storages/{kind}/{storage}/sync")
    assert (done["status"], done["last_sync_count"]) == ("completed", 1)
    return storage


def newest_task(api: LabelStudio, project: int) -> int:
    return max(int(task["id"]) for task in api.tasks(project, "id"))


def segmented(api: LabelStudio, project: int, task: int) -> list[Any]:
    """What the segmentation backend predicts, asked by Label Studio."""
    body = {"selectedItems": {"all": False, "included": [task]}, "ordering": []}
    body["filters"] = {"conjunction": "and", "items": []}
    params = {"id": "retrieve_tasks_predictions", "project": project}
    api.call("POST", "/api/dm/actions", params=params, json=body)
    return [each["result"] for each in api.call("GET", f"/api/predictions?task={task}")]


def clicked(api: LabelStudio, project: int, task: int) -> list[Any]:
    """What the sam backend answers to a box, asked by Label Studio."""
    (sam,) = (id_ for id_, each in api.connections(project).items() if each.interactive)
    answer = api.call(
        "POST",
        f"/api/ml/{sam}/interactive-annotating",
        json={"task": task, "context": {"result": [box()]}},
    )
    result: list[Any] = answer["data"]["result"]
    return result


def check(studio: Studio, project: int, run: Run) -> None:
    """See that both backends get the image of the newest task, and that doctor says so."""
    with studio.api() as api:
        task = newest_task(api, project)
        (regions,) = segmented(api, project, task)
        assert regions, studio.output
        assert clicked(api, project, task), studio.output
    doctor = run("doctor", "--task", task)
    assert doctor.exit_code == 0, doctor.output
    assert re.search("✓ +decoded", doctor.stdout)


@pytest.mark.parametrize("presign", [True, False])
def test_s3_is_read_through_label_studio(
    presign: bool, studio: Studio, project: int, s3: S3, figure: Figure, tmp_path: Path, run: Run
) -> None:
    save_plain(tmp_path / "a.jpg", figure)
    s3.put(f"photos-{presign}".lower(), NAME, tmp_path / "a.jpg")
    with studio.api() as api:
        connect(
            api,
            project,
            "s3",
            presign,
            bucket=f"photos-{presign}".lower(),
            aws_access_key_id="a",
            aws_secret_access_key="b",
            region_name="us-east-1",
            s3_endpoint=s3.url,
        )
    check(studio, project, run)


@pytest.mark.parametrize("presign", [True, False])
def test_azure_is_read_through_label_studio(
    presign: bool,
    studio: Studio,
    project: int,
    azure: AzureBlobs,
    figure: Figure,
    tmp_path: Path,
    run: Run,
    outside: Outside,
) -> None:
    save_plain(tmp_path / "a.jpg", figure)
    azure.put(f"photos-{presign}".lower(), NAME, tmp_path / "a.jpg")
    with studio.api() as api:
        connect(
            api,
            project,
            "azure",
            presign,
            container=f"photos-{presign}".lower(),
            account_name=AZURE_ACCOUNT,
            account_key=AZURE_KEY,
        )
    before = len(outside.proxy.targets)
    check(studio, project, run)
    assert set(outside.proxy.targets[before:]) == {f"{AZURE_HOST}:443"}


def test_the_login_of_the_project_opens_the_host_of_its_images(
    studio: Studio, project: int, outside: Outside, figure: Figure, tmp_path: Path, run: Run
) -> None:
    save_plain(tmp_path / "a.jpg", figure)

    def private(request: Request) -> Reply:
        expected = f"Basic {base64.b64encode(b'anna:s3cret').decode()}"
        right = request.headers.get("Authorization") == expected
        return Reply(body=(tmp_path / "a.jpg").read_bytes()) if right else Reply(401)

    outside.web.replies["/private.jpg"] = private
    login = {"task_data_login": "anna", "task_data_password": "s3cret"}
    with studio.api() as api:
        api.call("PATCH", f"/api/projects/{project}", json=login)
        api.create_tasks(project, [NewTask({"image": f"{outside.web.url}/private.jpg"}, {})])
    try:
        check(studio, project, run)
    finally:
        nothing = {"task_data_login": "", "task_data_password": ""}
        with studio.api() as api:
            api.call("PATCH", f"/api/projects/{project}", json=nothing)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_an_upload_is_found_under_every_loopback_name(
    host: str, studio: Studio, project: int, figure: Figure, tmp_path: Path, run: Run
) -> None:
    save_plain(tmp_path / "a.jpg", figure)
    with studio.api() as api:
        (path,) = api.upload(project, [("a.jpg", tmp_path / "a.jpg")])
        port = studio.ports["LABEL_STUDIO_PORT"]
        api.create_tasks(project, [NewTask({"image": f"http://{host}:{port}{path}"}, {})])
    check(studio, project, run)
