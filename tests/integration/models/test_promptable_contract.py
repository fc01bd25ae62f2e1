"""What every promptable model keeps to, whichever network it is."""

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from sam_backend.models.base import Box, Embedding, Mask, Point, PromptableModel, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.sam2 import SegmentAnything2
from sam_backend.models.segment_anything import SegmentAnything
from tests.support import tiny_sam, tiny_sam2
from tests.support.sam_upstream import PROMPTS, at_size, photograph


def segment_anything(folder: Path) -> PromptableModel:
    return SegmentAnything.load(tiny_sam.save(folder), folder, "cpu", torch.float32)


def segment_anything_2(folder: Path) -> PromptableModel:
    return SegmentAnything2.load(tiny_sam2.save(folder), folder, "cpu", torch.float32)


MODELS: dict[str, Callable[[Path], PromptableModel]] = {
    "embedded": lambda _folder: EmbeddedPromptableModel.load(),
    "sam": segment_anything,
    "sam2": segment_anything_2,
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    return MODELS[request.param](tmp_path_factory.mktemp("models"))


def assert_same(one: Mask, other: Mask) -> None:
    assert np.array_equal(one.pixels, other.pixels)
    assert one.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize(
    "size",
    [(1, 1), (3, 700), (700, 3), (65, 400), (333, 517), (1, 3000), (3000, 1), (2000, 3000)],
    ids=str,
)
def test_any_size_gets_a_mask_of_its_own_size(
    model: PromptableModel, size: tuple[int, int]
) -> None:
    height, width = size
    embedding = model.embed(photograph(*size))
    for prompts in (
        Prompts(Box(0, 0, width, height)),
        Prompts(points=(Point(0, 0), Point(width, height, positive=False))),
        Prompts(Box(-5, -5, width + 9, height + 9), (Point(width / 2, height / 2),)),
    ):
        first = model.segment(embedding, prompts)
        refined = model.segment(embedding, prompts, first)
        for mask in (first, refined):
            assert mask.pixels.shape == size
            assert mask.pixels.dtype == np.bool_
            assert mask.logits.dtype in (np.float16, np.float32)
            assert np.isfinite(mask.score)


def test_the_same_prompt_gets_the_same_answer(model: PromptableModel) -> None:
    image = photograph(96, 128)
    for prompts in PROMPTS.values():
        first, again = (model.segment(model.embed(image), at_size(prompts, 96, 128)) for _ in "12")
        assert_same(first, again)
        assert np.array_equal(first.logits, again.logits)


def test_labelers_on_several_images_at_once_get_the_masks_they_would_get_alone(
    model: PromptableModel,
) -> None:
    embeddings = [model.embed(photograph(60 + i, 90)) for i in range(3)]
    questions = [(e, at_size(p, 60, 90)) for e in embeddings for p in PROMPTS.values()]
    alone = [model.segment(*question) for question in questions]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda question: model.segment(*question), questions * 2))
    for mine, expected in zip(together, alone * 2, strict=True):
        assert_same(mine, expected)


def test_an_embedding_can_be_sent_elsewhere_and_is_not_changed_by_clicks(
    model: PromptableModel,
) -> None:
    image = photograph(96, 128)
    embedding = model.embed(image)
    image[:] = 0  # the embedding is nobody else's
    received: Embedding = pickle.loads(pickle.dumps(embedding))
    prompts = Prompts(Box(10, 10, 90, 80))
    assert_same(model.segment(embedding, prompts), model.segment(received, prompts))
    for name, tensor in embedding.tensors.items():
        assert torch.equal(tensor, received.tensors[name])


@pytest.mark.parametrize("size", [(96, 128), (333, 77), (500, 777)], ids=str)
def test_an_embedding_as_it_is_kept_has_the_layout_and_gives_the_same_masks(
    model: PromptableModel, size: tuple[int, int]
) -> None:
    embedding = model.embed(photograph(*size))
    kept = embedding.to_float16()
    shapes = {name: (tuple(t.shape), t.dtype) for name, t in kept.tensors.items()}
    assert shapes == model.layout(*size)
    assert kept.nbytes <= embedding.nbytes
    for prompts in PROMPTS.values():
        exact, half = (model.segment(e, at_size(prompts, *size)).pixels for e in (embedding, kept))
        assert (exact & half).sum() >= 0.99 * (exact | half).sum()


def test_the_version_is_a_name_and_the_device_is_told(model: PromptableModel) -> None:
    assert model.version
    assert model.version.isprintable()
    assert model.device == "cpu"
