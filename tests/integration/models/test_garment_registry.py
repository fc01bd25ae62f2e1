from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import Checkpoint
from segmentation_backend.models import registry
from segmentation_backend.models.registry import load_model
from segmentation_backend.settings import SegmentationSettings
from tests.support import tiny_segformer
from tests.support.file_server import FileServer


def settings(models_dir: Path, **changes: object) -> SegmentationSettings:
    values = {"models_dir": models_dir, "device": "cpu"} | changes
    return SegmentationSettings.model_validate(values)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running


@pytest.fixture
def small(tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """The one published model, small; its files are in ``tmp_path`` and on a server."""
    tiny = tiny_segformer.save(tmp_path)
    for file in tiny.files:
        server.files[f"/{file.path}"] = (tmp_path / file.path).read_bytes()
    files = tuple(replace(file, url=f"{server.url}/{file.path}") for file in tiny.files)
    weights = replace(tiny, name="segformer", files=files)
    monkeypatch.setattr(registry, "SEGMENTATION_WEIGHTS", (weights,))
    return weights


def test_auto_is_the_embedded_model_where_there_are_no_other_weights(tmp_path: Path) -> None:
    assert load_model(settings(tmp_path)).version.startswith("embedded-")


def test_auto_is_the_big_model_whose_weights_are_there(small: Checkpoint, tmp_path: Path) -> None:
    with capture_logs() as logs:
        model = load_model(settings(tmp_path))
    assert model.version == small.version
    assert model.version.startswith("segformer-")
    (line,) = logs
    assert (line["asked"], line["model_version"]) == ("auto", small.version)


def test_auto_leaves_alone_what_is_there_in_part(small: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / small.files[0].path).unlink()
    assert load_model(settings(tmp_path)).version.startswith("embedded-")


def test_damaged_weights_are_an_error_and_no_lesser_model_takes_their_place(
    small: Checkpoint, tmp_path: Path
) -> None:
    (tmp_path / small.files[-1].path).write_bytes(b"half a download")
    for name in ("auto", "segformer"):
        with pytest.raises(ModelError, match=r"model\.safetensors is damaged"):
            load_model(settings(tmp_path, segmentation_model=name))


def test_the_embedded_model_is_given_on_request_whatever_else_is_there(
    small: Checkpoint, tmp_path: Path
) -> None:
    model = load_model(settings(tmp_path, segmentation_model="embedded"))
    assert model.version.startswith("embedded-")


def test_a_model_that_is_named_is_fetched_where_it_is_missing(
    small: Checkpoint, server: FileServer, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "models"
    with capture_logs() as logs:
        model = load_model(settings(elsewhere, segmentation_model="segformer"))
    assert model.version == small.version
    assert small.check(elsewhere)
    assert len(server.asked) == len(small.files)
    assert logs[0]["event"] == "weights_pulled_from_the_web"
    assert logs[0]["licence"] == small.licence
