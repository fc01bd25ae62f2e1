"""The cluster of docker-compose.ray.yml: two workers, of which one dies at work."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from synthetic.people import draw_figure
from tests.containers.conftest import VERSION, make_stack
from tests.support.photographs import save_plain
from tests.support.stack import Stack, docker
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1800)

IMAGES = 90
PREDICT = ["python", "-m", "segstudio", "predict", "/images", "--out", "/out", "--json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With photographs, and room for shards that the containers' user may write to."""
    folder = tmp_path_factory.mktemp("ray")
    for name in ("images", "out"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    folder.chmod(0o755)
    for seed in range(IMAGES):
        save_plain(folder / "images" / f"{seed}.jpg", draw_figure(seed, 660, 440))
    return folder


@pytest.fixture(scope="module")
def cluster(folder: Path) -> Iterator[Stack]:
    make_stack().compose("build", "segmentation")  # Ray's image stands on it
    variables = {"IMAGES": str(folder / "images"), "OUT": str(folder / "out")}
    stack = Stack(
        f"segstudio-ray-{os.getpid()}",
        ("docker-compose.ray.yml", "tests/containers/docker-compose.ray.yml"),
        {"SEGSTUDIO_VERSION": VERSION} | variables,
    )
    try:
        stack.compose("up", "--detach", "--build", "--wait")
        yield stack
    finally:
        stack.down("--volumes")
    assert stack.left_behind() == []


def test_an_archive_is_predicted_though_a_worker_dies(cluster: Stack, folder: Path) -> None:
    workers = cluster.containers("worker")
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(cluster.compose, "exec", "--no-TTY", "head", *PREDICT)
        eventually(lambda: any(map(has_a_model, workers)), seconds=200)
        docker("kill", next(filter(has_a_model, workers)))
        tally = json.loads(told.result(timeout=600).splitlines()[-1])
    assert (tally["predicted"], tally["failed"]) == (IMAGES, 0)
    shards = (folder / "out" / "shards").glob("*.jsonl")
    tasks = [json.loads(line) for shard in shards for line in shard.read_text().splitlines()]
    names = sorted(task["data"]["identifier"] for task in tasks)
    assert names == sorted(f"{seed}.jpg" for seed in range(IMAGES))
    assert all(task["predictions"][0]["result"] for task in tasks)


def has_a_model(container: str) -> bool:
    return "Segmenter" in docker("top", container, "-eo", "pid,args")
