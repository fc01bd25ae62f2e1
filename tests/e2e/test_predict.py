"""``segstudio predict`` with a real Label Studio, and a Ray that it starts and ends itself."""

import csv
import hashlib
import json
from base64 import b64encode
from collections import Counter
from pathlib import Path

import cv2
import google_crc32c
import pytest

from segstudio.figures import Figure
from segstudio.label_studio import LabelStudio
from tests.e2e.studio import Studio
from tests.segstudio.conftest import Run, records
from tests.segstudio.gcs_server import GcsServer

pytestmark = pytest.mark.timeout(900)

TITLE = "Predicted beforehand"


@pytest.fixture(autouse=True)
def quiet_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


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
