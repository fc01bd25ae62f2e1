"""What transformers' own SAM 2.1 answers, given the same folder, image and prompts."""

import hashlib
import json
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Sam2Model, Sam2Processor

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import SAM2_WEIGHTS, Checkpoint
from sam_backend.models import registry
from sam_backend.models.base import Box, Embedding, Mask, Point, Prompts
from sam_backend.models.sam2 import SegmentAnything2
from sam_backend.settings import SamSettings
from tests.support import tiny_sam, tiny_sam2
from tests.support.sam_calls import mask_of
from tests.support.sam_upstream import (
    PROMPTS,
    TURNED,
    ask_about_a_turned_photograph,
    assert_bfloat16_changes_little,
    assert_equal,
    assert_kept_is_as_good,
    at_size,
    photograph,
)

SIZES = [(96, 128), (333, 77), (500, 777), (7, 3), (3, 50), (1, 60)]


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def weights(models_dir: Path) -> Checkpoint:
    return tiny_sam2.save(models_dir)


@pytest.fixture(scope="module")
def ours(weights: Checkpoint, models_dir: Path) -> SegmentAnything2:
    return SegmentAnything2.load(weights, models_dir, "cpu", torch.float32)


class Upstream:
    """The way that transformers' documentation shows: everything anew for each question."""

    def __init__(self, folder: Path) -> None:
        self.network: Any = Sam2Model.from_pretrained(folder).eval()
        self.processor: Any = Sam2Processor.from_pretrained(folder)

    @torch.no_grad()
    def masks(
        self, image: Image.Image, prompts: Prompts, previous: Mask | None = None
    ) -> tuple[Any, Any, Any]:
        """Pixels, scores and logits of one mask, or of three for a lone click."""
        given: dict[str, Any] = {}
        if prompts.points:
            given["input_points"] = [[[[p.x, p.y] for p in prompts.points]]]
            given["input_labels"] = [[[int(p.positive) for p in prompts.points]]]
        if b := prompts.box:
            given["input_boxes"] = [[[b.left, b.top, b.right, b.bottom]]]
        inputs = self.processor(images=image, return_tensors="pt", **given)
        outputs = self.network(
            **inputs,
            input_masks=torch.tensor(previous.logits)[None, None] if previous else None,
            multimask_output=prompts.box is None and len(prompts.points) == 1,
        )
        masks = self.processor.post_process_masks(outputs.pred_masks, inputs["original_sizes"])
        return masks[0][0].numpy(), outputs.iou_scores[0, 0].numpy(), outputs.pred_masks[0, 0]

    def best(self, image: Image.Image, prompts: Prompts, previous: Mask | None = None) -> Mask:
        pixels, scores, logits = self.masks(image, prompts, previous)
        index = int(scores.argmax())
        return Mask(pixels[index], float(scores[index]), logits[index].numpy())


@pytest.fixture(scope="module")
def upstream(weights: Checkpoint, models_dir: Path) -> Upstream:
    return Upstream(models_dir / weights.name)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_masks_are_identical_to_those_of_transformers(
    ours: SegmentAnything2, upstream: Upstream, size: tuple[int, int]
) -> None:
    image = photograph(*size)
    embedding = ours.embed(image)
    telling = 0
    for prompts in PROMPTS.values():
        expected = upstream.best(Image.fromarray(image), at_size(prompts, *size))
        assert_equal(ours.segment(embedding, at_size(prompts, *size)), expected)
        telling += 0 < expected.pixels.mean() < 1
    assert telling >= 2


def test_a_refined_mask_is_identical_when_transformers_gets_its_own_logits_back(
    ours: SegmentAnything2, upstream: Upstream
) -> None:
    image = photograph(96, 128)
    embedding = ours.embed(image)
    clicks = at_size(PROMPTS["clicks for and against"], 96, 128)
    theirs = mine = None
    for count in range(1, 4):
        step = replace(clicks, points=clicks.points[:count])
        theirs = upstream.best(Image.fromarray(image), step, theirs)
        mine = ours.segment(embedding, step, mine)
        assert_equal(mine, theirs)
    assert mine
    assert not np.allclose(mine.logits, ours.segment(embedding, clicks).logits, atol=1e-3)


def test_of_the_three_masks_for_one_click_the_best_rated_is_given(
    ours: SegmentAnything2, upstream: Upstream
) -> None:
    image = photograph(96, 128)
    lone = Prompts(points=(Point(50, 50),))
    _, scores, _ = upstream.masks(Image.fromarray(image), lone)
    assert len(set(scores.tolist())) == 3
    assert ours.segment(ours.embed(image), lone).score == pytest.approx(scores.max(), abs=1e-4)


def test_a_turned_photograph_is_answered_in_the_frame_that_the_labeler_sees(
    ours: SegmentAnything2, upstream: Upstream, tmp_path: Path
) -> None:
    seen, region = ask_about_a_turned_photograph(ours, tmp_path)
    before = upstream.best(seen, replace(TURNED, points=()))
    expected = upstream.best(seen, TURNED, before)
    assert np.array_equal(mask_of(region), expected.pixels)


def test_labelers_on_several_images_at_once_get_the_masks_they_would_get_alone(
    ours: SegmentAnything2,
) -> None:
    embeddings = [ours.embed(photograph(60 + i, 90)) for i in range(4)]
    prompts = [at_size(p, 60, 90) for p in PROMPTS.values()]
    questions = [(e, p) for e in embeddings for p in prompts] * 3

    def ask(question: tuple[Embedding, Prompts]) -> Mask:
        return ours.segment(*question)

    alone = [ask(question) for question in questions[: len(questions) // 3]] * 3
    with ThreadPoolExecutor(8) as threads:
        for mine, expected in zip(threads.map(ask, questions), alone, strict=True):
            assert_equal(mine, expected)


def test_an_embedding_can_be_sent_elsewhere_and_is_not_changed_by_clicks(
    ours: SegmentAnything2,
) -> None:
    embedding = ours.embed(photograph(96, 128))
    received: Embedding = pickle.loads(pickle.dumps(embedding))
    prompts = Prompts(Box(10, 10, 90, 80))
    assert_equal(ours.segment(embedding, prompts), ours.segment(received, prompts))
    for name, array in embedding.tensors.items():
        assert np.array_equal(array, received.tensors[name])
    assert [array.shape[1:] for array in embedding.tensors.values()] == [
        tuple(grid) for grid in tiny_sam2.GRIDS
    ]


def test_bfloat16_changes_little(
    weights: Checkpoint, models_dir: Path, ours: SegmentAnything2
) -> None:
    fast = SegmentAnything2.load(weights, models_dir, "cpu", torch.bfloat16)
    assert_bfloat16_changes_little(ours, fast)


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


@pytest.mark.parametrize("size", SIZES[:3], ids=str)
def test_an_embedding_as_it_is_kept_gives_the_same_masks(
    ours: SegmentAnything2, size: tuple[int, int]
) -> None:
    assert_kept_is_as_good(ours, *size)
