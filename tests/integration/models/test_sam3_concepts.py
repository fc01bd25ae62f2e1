"""SAM 3 in the sam backend: tracker and detector of one folder, as it is published."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import Sam3Model, Sam3Processor

from ml_backend.embedding_store.tiers import open_store
from ml_backend.instances import Instance
from sam_backend.embedding_codec import EmbeddingCodec
from sam_backend.embedding_service import EmbeddingKey
from sam_backend.models.base import Box, Prompts, Wanted, WithConcepts
from sam_backend.models.registry import load_folder
from sam_backend.models.sam3 import Sam3Concepts, SegmentAnything3
from sam_backend.settings import SamSettings
from segmentation_backend.models import registry
from segmentation_backend.models.sam3 import ConceptModel
from tests.support import tiny_sam3
from tests.support.sam_calls import overlap
from tests.support.sam_upstream import photograph

IMAGE = photograph(90, 60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam3.save_video(tmp_path_factory.mktemp("sam3-video"))


@pytest.fixture(scope="module")
def model(folder: Path) -> SegmentAnything3:
    model = load_folder(folder, "tiny", "cpu")
    assert isinstance(model, SegmentAnything3)
    assert isinstance(model, WithConcepts)
    return model


@pytest.fixture(scope="module")
def concepts(model: SegmentAnything3) -> Sam3Concepts:
    return model.concepts


def test_one_folder_answers_boxes_and_phrases(model: SegmentAnything3, folder: Path) -> None:
    mask = model.segment(model.embed(IMAGE), Prompts(Box(10, 10, 40, 40)))
    assert mask.pixels.shape == (90, 60)
    reader = registry.load_folder(folder, "tiny", "cpu")
    assert isinstance(reader, ConceptModel)
    assert reader.for_phrases({"it": ("dress",)}).segment([IMAGE])[0]


@torch.no_grad()
def best_of_the_library(folder: Path, phrase: str) -> tuple[float, Any]:
    network: Any = Sam3Model.from_pretrained(folder).eval()
    processor: Any = Sam3Processor.from_pretrained(folder)
    inputs = processor(images=IMAGE, text=phrase, return_tensors="pt")
    names = ("pixel_values", "input_ids", "attention_mask")
    outputs = network(**{name: inputs[name] for name in names})
    (found,) = processor.post_process_instance_segmentation(outputs, target_sizes=[(90, 60)])
    best = int(found["scores"].argmax())
    return float(found["scores"][best]), found["masks"][best].numpy().astype(bool)


def test_the_best_thing_is_the_librarys_and_halving_changes_little(
    folder: Path, concepts: Sam3Concepts
) -> None:
    score, mask = best_of_the_library(folder, "dress")
    embedding = concepts.embed(IMAGE)
    exact, halved = (
        concepts.find(each, [Wanted("dress")])[0] for each in (embedding, embedding.to_float16())
    )
    assert exact.score == pytest.approx(score, abs=1e-4)
    assert np.array_equal(exact.mask, mask)
    assert halved.score == pytest.approx(score, abs=0.01)
    assert overlap(halved.mask, mask) > 0.95


def test_things_of_several_phrases_and_examples_share_no_pixel(concepts: Sam3Concepts) -> None:
    wanted = [Wanted("dress"), Wanted("a red bag"), Wanted(boxes=(Box(0.1, 0.1, 0.6, 0.5),))]
    found = concepts.find(concepts.embed(IMAGE), wanted)
    assert {each.class_index for each in found} <= {1, 2, 3}
    assert np.sum([each.mask for each in found], axis=0).max() == 1


def test_a_text_longer_than_the_network_reads_is_cut(concepts: Sam3Concepts) -> None:
    found = concepts.find(concepts.embed(IMAGE), [Wanted("a very long dress " * 20)])
    assert all(isinstance(each, Instance) for each in found)


def test_features_come_back_from_disk(concepts: Sam3Concepts, tmp_path: Path) -> None:
    settings = SamSettings(embedding_cache_mb=0, embedding_disk_dir=tmp_path)
    key = EmbeddingKey("image", concepts.version).name
    embedding = concepts.embed(IMAGE).to_float16()
    stores = [open_store(settings, EmbeddingCodec(concepts, 10_000)) for _ in "12"]
    stores[0].put(key, embedding)
    kept = stores[1].get(key)
    assert kept is not None
    for name, tensor in embedding.tensors.items():
        assert torch.equal(kept.tensors[name], tensor)
