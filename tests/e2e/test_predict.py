"""``segstudio predict`` with a real Label Studio and a real Ray."""

import csv
import hashlib
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import google_crc32c
import httpx
import pytest

from ml_backend.labelstudio.client import LabelStudio, NewProject, NewTask
from segstudio.projects.templates import read_template
from synthetic.people import Figure
from tests.support.asking import click, jpeg, total
from tests.support.command_line import Run, records
from tests.support.gcs_server import GcsServer
from tests.support.ray_cluster import ENVIRONMENT, Ray, running_ray
from tests.support.studio import Studio

pytestmark = pytest.mark.timeout(900)

TITLE = "Predicted beforehand"


@pytest.fixture(scope="module")
def ray(studio: Studio) -> Iterator[Ray]:
    with running_ray(**studio.variables) as ray:
        yield ray


@pytest.fixture(autouse=True)
def on_ray(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**ENVIRONMENT, "RAY_ADDRESS": ray.address}.items():
        monkeypatch.setenv(name, value)


def predictions(api: LabelStudio, project: int) -> Counter[tuple[int, str]]:
    found = api.call("GET", "/api/predictions", params={"project": project})
    return Counter((each["task"], each["model_version"]) for each in found)


def _crc32c(data: bytes) -> bytes:
    value: int = google_crc32c.value(data)
    return value.to_bytes(4, "big")


def write_manifest(path: Path, figure: Figure, cloud: GcsServer) -> None:
    """Three images in the bucket, and one that is not there."""
    image = cv2.imencode(".jpg", figure.image[:, :, ::-1])[1].tobytes()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        about = {
            "name": f"bulk/{name}",
            "contentType": "image/jpeg",
            "crc32c": b64encode(_crc32c(image)).decode(),
            "md5Hash": b64encode(hashlib.md5(image, usedforsecurity=False).digest()).decode(),
        }
        cloud.storage.create_file("photos", f"bulk/{name}", image, about)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["identifier", "image"])
        rows.writerows([n, f"gs://photos/bulk/{n}.jpg"] for n in ("a", "b", "c", "gone"))


def test_a_project_is_predicted_once_and_shards_become_a_project(
    run: Run, studio: Studio, figure: Figure, cloud: GcsServer, tmp_path: Path
) -> None:
    manifest = tmp_path / "tasks.csv"
    write_manifest(manifest, figure, cloud)
    create = ("project", "create", "--template", "runway_fashion", "--no-backends", "--json")
    (made,) = records(run(*create, "--title", TITLE, "--tasks", manifest))
    project = made["projects"][0]["id"]

    first = run("predict", "--project", project, "--json")
    assert first.exit_code == 3, first.output  # one image is not there
    outcome = records(first)[-1]
    assert (outcome["predicted"], outcome["failed"]) == (3, 1), first.output
    with studio.api() as api:
        assert set(predictions(api, project).values()) == {1}
        assert len(predictions(api, project)) == 3
    second = records(run("predict", "--project", project, "--json"))[-1]
    assert (second["predicted"], second["failed_before"]) == (0, 1)

    shards = run("predict", "--manifest", manifest, "--out", "out", "--format", "parquet", "--json")
    assert records(shards)[-1]["predicted"] == 3, shards.output
    (made,) = records(run(*create, "--title", f"{TITLE} 2", "--tasks", "out"))
    with studio.api() as api:
        assert len(predictions(api, made["projects"][0]["id"])) == 3
        assert _results(api, project) == _results(api, made["projects"][0]["id"])


def _results(api: LabelStudio, project: int) -> list[str]:
    """All regions of all predictions, but for their ids."""
    found = api.call("GET", "/api/predictions", params={"project": project})
    regions = [[{**region, "id": ""} for region in each["result"]] for each in found]
    return sorted(json.dumps(each, sort_keys=True) for each in regions)


def test_an_embedding_made_beforehand_answers_the_first_click_of_a_running_backend(
    run: Run, studio: Studio, tmp_path: Path
) -> None:
    (tmp_path / "new.jpg").write_bytes(jpeg(seed=77, height=240, width=160))
    with studio.api() as api:
        project = api.create_project(NewProject(f"{TITLE} 3", read_template("runway_fashion")))
        (upload,) = api.upload(project, [("new.jpg", tmp_path / "new.jpg")])
        api.create_tasks(project, [NewTask({"image": upload}, {})])
    told = records(run("predict", "--project", project, "--embed", "--json"))[-1]
    assert (told["predicted"], told["failed"]) == (1, 0)

    sam = f"http://127.0.0.1:{studio.ports['SAM_PORT']}"
    before = _embeddings(sam)
    answer = httpx.post(f"{sam}/predict", json=click(upload), timeout=100).raise_for_status()
    assert answer.json()["results"][0]["result"]
    assert _embeddings(sam) == before + Counter(disk=1)


def _embeddings(sam: str) -> Counter[str]:
    """Where the backend has had embeddings from, so far."""
    sources = ("memory", "disk", "model")
    found = {name: total(sam, "segstudio_embeddings_total", source=name) for name in sources}
    return Counter({name: int(value) for name, value in found.items()})
