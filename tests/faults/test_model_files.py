"""Weights that are missing, truncated, or others than their name says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ml_backend.weights import SAM_WEIGHTS, SEGMENTATION_WEIGHTS, KnownWeights
from tests.asking import Json, lines, workers
from tests.processes import Backend, started_backend
from tests.waiting import eventually

SEGFORMER = next(weights for weights in SEGMENTATION_WEIGHTS if weights.name == "segformer")
VIT_B = next(weights for weights in SAM_WEIGHTS if weights.name == "vit_b")
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9"}


def place(weights: KnownWeights, models_dir: Path, less: int = 0) -> list[Path]:
    """Files of the right names and sizes, or shorter, that hold zeros."""
    paths = [models_dir / file.path for file in weights.files]
    for file, path in zip(weights.files, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            out.truncate(file.size - less)
    return paths


@contextmanager
def failing(package: str, folder: Path, **variables: str) -> Iterator[Backend]:
    """A backend whose model does not load."""
    settings = {"MODELS_DIR": str(folder / "models"), **OFFLINE, **variables}
    with started_backend(package, folder, **settings) as backend:
        eventually(lambda: refusal(backend)["type"] == "model", seconds=100)
        yield backend


def refusal(backend: Backend) -> Json:
    """What ``/readyz`` says; nothing when it is ready."""
    try:
        answer = httpx.get(f"{backend.url}/readyz", timeout=60).json()
    except httpx.ConnectError:
        return {"type": "not there yet"}
    error: Json = answer.get("error", {"type": ""})
    return error


def test_missing_weights_are_named_and_the_process_stays(tmp_path: Path) -> None:
    with failing("segmentation_backend", tmp_path, SEGMENTATION_MODEL="segformer") as backend:
        error = refusal(backend)
        for file in SEGFORMER.files:
            assert file.sha256 in error["hint"]
        assert httpx.get(f"{backend.url}/livez").status_code == 200
        answer = httpx.post(f"{backend.url}/predict", json={"tasks": [], "label_config": ""})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize(
    ("package", "setting", "weights", "less", "said"),
    [
        ("segmentation_backend", "SEGMENTATION_MODEL", SEGFORMER, 1, "bytes, not"),
        ("sam_backend", "SAM_MODEL", VIT_B, 0, "its sha256 is"),
    ],
)
def test_damaged_weights_are_refused_and_putting_it_right_needs_no_restart(
    package: str, setting: str, weights: KnownWeights, less: int, said: str, tmp_path: Path
) -> None:
    damaged = place(weights, tmp_path / "models", less)
    with failing(package, tmp_path, **{setting: "auto"}) as backend:
        error = refusal(backend)
        assert said in error["message"]
        assert str(damaged[0].parent) in error["message"]
        (reason,) = {line["reason"] for line in lines(backend) if line["event"] == "model_failed"}
        assert said in reason
        before = workers(backend)
        for path in damaged:
            path.unlink()
        eventually(lambda: refusal(backend)["type"] == "", seconds=100)
        assert workers(backend) == before
