"""SAM 2.1: its folders, read safely and as they are published."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import SAM2_WEIGHTS, Checkpoint
from sam_backend.models import registry
from sam_backend.models.base import Box, Prompts
from sam_backend.models.sam2 import SegmentAnything2
from sam_backend.settings import SamSettings
from tests.support import tiny_sam, tiny_sam2
from tests.support.sam_upstream import (
    photograph,
)


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def weights(models_dir: Path) -> Checkpoint:
    return tiny_sam2.save(models_dir)


def logits_of(folder: Path, weights: Checkpoint) -> Sequence[float]:
    model = SegmentAnything2.load(weights, folder, "cpu", torch.float32)
    mask = model.segment(model.embed(photograph(9, 9)), Prompts(Box(1, 1, 8, 8)))
    return [float(value) for value in mask.logits.ravel()]


def test_other_weights_have_another_version_and_other_answers(tmp_path: Path) -> None:
    first, second = tiny_sam2.save(tmp_path, seed=1), tiny_sam2.save(tmp_path, seed=2)
    assert logits_of(tmp_path, first) != logits_of(tmp_path, second)
    assert first.version != second.version


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "processor_config.json"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    weights = tiny_sam2.save(tmp_path)
    path = tmp_path / weights.name / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=rf"{name} is damaged or another file"):
        SegmentAnything2.load(weights, tmp_path, "cpu")


@pytest.mark.parametrize("changed", [b'"mlp_dim": 65', b'"mlp_dim": 64, "num_hidden_layers": 3'])
def test_weights_that_do_not_fill_the_network_are_refused_instead_of_guessed(
    tmp_path: Path, changed: bytes
) -> None:
    weights = tiny_sam2.save(tmp_path)
    config = tmp_path / weights.name / "config.json"
    parts = json.loads(config.read_bytes())
    parts["mask_decoder_config"].pop("num_hidden_layers")
    data = json.dumps(parts).encode().replace(b'"mlp_dim": 64', changed)
    config.write_bytes(data)
    other = replace(weights.files[0], size=len(data), sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(ModelError, match="do not fit transformers' Sam2Model"):
        SegmentAnything2.load(replace(weights, files=(other, *weights.files[1:])), tmp_path, "cpu")


def test_the_files_beside_the_weights_are_read_as_they_are_published() -> None:
    known = {file.path.rpartition("/")[2]: file for file in SAM2_WEIGHTS[-1].files}
    assert SAM2_WEIGHTS[-1].name == "sam2.1_tiny"
    for name, data in {
        "config.json": tiny_sam2.PUBLISHED_CONFIG.read_bytes(),
        "preprocessor_config.json": tiny_sam2.as_published(tiny_sam2.PREPROCESSOR),
        "processor_config.json": tiny_sam2.as_published(tiny_sam2.PROCESSOR),
    }.items():
        assert hashlib.sha256(data).hexdigest() == known[name].sha256
        assert len(data) == known[name].size


def test_auto_is_sam_2_before_sam_and_only_where_all_its_files_are_there(
    weights: Checkpoint, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = replace(weights, name="sam2.1_tiny")
    monkeypatch.setattr(registry, "SAM2_WEIGHTS", (named,))
    monkeypatch.setattr(registry, "SAM_WEIGHTS", (tiny_sam.save(models_dir),))
    settings = SamSettings(models_dir=models_dir, device="cpu")
    assert registry.load_model(settings).version == named.version
    config = models_dir / weights.files[0].path
    content = config.read_bytes()
    config.unlink()
    try:
        assert registry.load_model(settings).version.startswith("sam-tiny-")
    finally:
        config.write_bytes(content)


def test_a_sam_2_that_is_named_is_that_one(
    weights: Checkpoint, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [replace(known, files=weights.files) for known in SAM2_WEIGHTS]
    monkeypatch.setattr(registry, "SAM2_WEIGHTS", tuple(others))
    settings = SamSettings(models_dir=models_dir, device="cpu", sam_model="sam2.1_small")
    assert registry.load_model(settings).version.startswith("sam2.1_small-")
