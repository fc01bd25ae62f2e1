"""Weights that are missing, truncated, or others than their name says."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest

from ml_backend.models.checkpoints import SAM_WEIGHTS, SEGMENTATION_WEIGHTS, Checkpoint
from tests.support.asking import Json, lines, total, workers
from tests.support.processes import Backend, started_backend
from tests.support.waiting import eventually

SEGFORMER = next(weights for weights in SEGMENTATION_WEIGHTS if weights.name == "segformer")
VIT_B = next(weights for weights in SAM_WEIGHTS if weights.name == "vit_b")
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "TRUST_PROXY_ENV": "true"}


@dataclass(frozen=True)
class Case:
    """A backend, and what is wrong with its weights.

    Attributes:
        package: Of the backend.
        setting: Its variables.
        weights: That are wrong.
        less: Number of bytes missing from each file; None: no file exists.
        said: Of the problem.
    """

    package: str
    setting: dict[str, str]
    weights: Checkpoint
    less: int | None
    said: str = ""


CASES = {
    "missing": Case("segmentation_backend", {"SEGMENTATION_MODEL": "segformer"}, SEGFORMER, None),
    "truncated": Case(
        "segmentation_backend", {"SEGMENTATION_MODEL": "auto"}, SEGFORMER, 1, "bytes, not"
    ),
    "others": Case("sam_backend", {"SAM_MODEL": "auto"}, VIT_B, 0, "its sha256 is"),
}


def place(weights: Checkpoint, models_dir: Path, less: int) -> list[Path]:
    """Files of the right names and sizes, or shorter, that hold zeros."""
    paths = files(weights, models_dir)
    for file, path in zip(weights.files, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            out.truncate(file.size - less)
    return paths


def files(weights: Checkpoint, models_dir: Path) -> list[Path]:
    return [models_dir / file.path for file in weights.files]


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Backend]]:
    """A backend for each case, whose model does not load; all start at once."""
    with ExitStack() as stack:
        backends = {}
        for name, case in CASES.items():
            folder = tmp_path_factory.mktemp(name)
            if case.less is not None:
                place(case.weights, folder / "models", case.less)
            variables = {"MODELS_DIR": str(folder / "models"), **OFFLINE, **case.setting}
            backends[name] = stack.enter_context(started_backend(case.package, folder, **variables))
        for backend in backends.values():
            eventually(partial(refused_as, backend, "model"), seconds=100)
        yield backends


def refusal(backend: Backend) -> Json:
    """What ``/readyz`` says; nothing when it is ready."""
    try:
        answer = httpx.get(f"{backend.url}/readyz", timeout=60).json()
    except httpx.ConnectError:
        return {"type": "not there yet"}
    error: Json = answer.get("error", {"type": ""})
    return error


def refused_as(backend: Backend, kind: str) -> bool:
    return bool(refusal(backend)["type"] == kind)


def test_missing_weights_are_named_and_the_process_stays(failing: dict[str, Backend]) -> None:
    backend = failing["missing"]
    error = refusal(backend)
    for file in SEGFORMER.files:
        assert file.sha256 in error["hint"]
    assert httpx.get(f"{backend.url}/livez").status_code == 200
    answer = httpx.post(f"{backend.url}/predict", json={"tasks": [], "label_config": ""})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize("name", ["truncated", "others"])
def test_damaged_weights_are_refused(failing: dict[str, Backend], name: str) -> None:
    backend, said = failing[name], CASES[name].said
    error = refusal(backend)
    assert said in error["message"]
    assert str(backend.log.parent / "models") in error["message"]
    (reason,) = {line["reason"] for line in lines(backend) if line["event"] == "model_failed"}
    assert said in reason
    assert total(backend.url, "segstudio_model_failures_total", kind="model") >= 1


def test_putting_it_right_needs_no_restart(failing: dict[str, Backend]) -> None:
    damaged = {name: failing[name] for name in ("truncated", "others")}
    before = {name: workers(backend) for name, backend in damaged.items()}
    for name, backend in damaged.items():
        for path in files(CASES[name].weights, backend.log.parent / "models"):
            path.unlink()
    for name, backend in damaged.items():
        eventually(partial(refused_as, backend, ""), seconds=100)
        assert workers(backend) == before[name]
