"""``segstudio predict`` from bucket to bucket, on a Ray that is there already."""

import csv
import io
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import pytest

from segstudio.gcs.client import GoogleSettings, connect
from synthetic.people import draw_figure
from tests.support.command_line import Run, records
from tests.support.gcs_server import GcsServer
from tests.support.ray_cluster import Ray

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

PREDICT = ("predict", "gs://photos/looks/", "--out", "gs://labels/run", "--workers", 1, "--json")
PICTURES = count(7)


def picture() -> bytes:
    """JPEG, each different, large enough for the network to be sure of something."""
    image = draw_figure(next(PICTURES), 288, 192).image
    return cv2.imencode(".jpg", image[:, :, ::-1])[1].tobytes()


def put(name: str, content: bytes) -> None:
    client = connect(GoogleSettings()).client
    client.bucket("photos").blob(f"looks/{name}").upload_from_string(content)


@pytest.fixture
def buckets(ray: Ray, cloud: GcsServer) -> Iterator[GcsServer]:
    """Two photographs, half of one, one that may not be read, and no photograph."""
    for name in ("photos", "labels"):
        cloud.add_bucket(name)
    for name in ("a.jpg", "b.jpg", "refused.jpg"):
        put(name, picture())
    put("half.jpg", picture()[:800])
    put("notes.txt", b"no image")
    cloud.requests.clear()
    cloud.fault = lambda _method, path: 403 if path.endswith("refused.jpg") else None
    yield cloud
    cloud.fault = lambda _method, _path: None


def shown(cloud: GcsServer) -> tuple[list[str], list[str]]:
    """Identifiers in shards and in the table of failures."""
    content = cloud.content("labels")
    failed = csv.DictReader(io.StringIO(content["run/failed.csv"].decode(), newline=""))
    tasks = [task["meta"]["identifier"] for task in tasks_of(content)]
    return sorted(tasks), sorted(row["identifier"] for row in failed)


def tasks_of(content: dict[str, bytes]) -> list[dict[str, Any]]:
    shards = [name for name in content if name.startswith("run/shards/")]
    return [json.loads(line) for name in shards for line in content[name].splitlines()]


def test_a_bucket_is_predicted_into_a_bucket_and_what_changes_is_predicted_anew(
    run: Run, buckets: GcsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDING_DISK_DIR", str(tmp_path / "embeddings"))
    first = run(*PREDICT, "--embed")
    assert first.exit_code == 3, first.output
    assert (records(first)[-1]["predicted"], records(first)[-1]["failed"]) == (2, 2), first.output
    assert shown(buckets) == (
        ["looks/a.jpg", "looks/b.jpg"],
        ["looks/half.jpg", "looks/refused.jpg"],
    )
    fetched = [path for _, path in buckets.requests if path.startswith("/download/")]
    assert sum(path.endswith("/a.jpg") for path in fetched) == 1
    assert len(list((tmp_path / "embeddings").rglob("*.*"))) >= 2

    put("b.jpg", picture())
    put("half.jpg", picture())
    buckets.fault = lambda _method, _path: None
    second = records(run(*PREDICT, "--retry-failed"))[-1]
    assert (second["predicted"], second["present"], second["failed"]) == (3, 1, 0)
    everything = [f"looks/{name}.jpg" for name in ("a", "b", "half", "refused")]
    assert shown(buckets) == (everything, [])
    assert all(task["predictions"][0]["result"] for task in tasks_of(buckets.content("labels")))
