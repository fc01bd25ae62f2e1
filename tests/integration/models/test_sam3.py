"""SAM 3 by label names: what transformers' own model and processor answer to each phrase."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageOps
from transformers import Sam3Model, Sam3Processor

from ml_backend.errors import BusyError
from ml_backend.geometry import Box
from ml_backend.images.decode import decode
from ml_backend.instances import apart
from ml_backend.models.memory import recovering_memory
from ml_backend.models.sam3 import ConceptNetwork, Query
from segmentation_backend.models.base import Instance
from segmentation_backend.models.registry import load_folder
from segmentation_backend.models.sam3 import ConceptModel
from tests.support import tiny_sam3
from tests.support.sam_upstream import photograph

PHRASES = {"dress": ("dress",), "accessories": ("bag", "belt")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam3.save(tmp_path_factory.mktemp("sam3"))


@pytest.fixture(scope="module")
def ours(folder: Path) -> ConceptModel:
    model = load_folder(folder, "tiny", "cpu")
    assert isinstance(model, ConceptModel)
    return model


@torch.no_grad()
def library_answer(folder: Path, image: Image.Image, phrase: str) -> list[tuple[float, Any]]:
    network: Any = Sam3Model.from_pretrained(folder).eval()
    processor: Any = Sam3Processor.from_pretrained(folder)
    outputs = network(**_inputs(processor, image, phrase))
    sizes = [image.size[::-1]]
    (found,) = processor.post_process_instance_segmentation(outputs, target_sizes=sizes)
    pairs = zip(found["scores"].tolist(), found["masks"].numpy().astype(bool), strict=True)
    return [(score, mask) for score, mask in pairs if mask.any()]


def _inputs(processor: Any, image: Image.Image, phrase: str) -> dict[str, Any]:
    inputs = processor(images=image, text=phrase, return_tensors="pt")
    return {name: inputs[name] for name in ("pixel_values", "input_ids", "attention_mask")}


def assert_equal(found: list[Instance], expected: list[tuple[float, Any]]) -> None:
    assert len(found) == len(expected)
    for instance, (score, mask) in zip(found, expected, strict=True):
        assert instance.score == pytest.approx(score, abs=1e-4)
        assert np.array_equal(instance.mask, mask)


@pytest.mark.parametrize("size", [(90, 60), (33, 97), (7, 30)], ids=str)
def test_instances_of_a_phrase_are_those_of_the_library(
    folder: Path, ours: ConceptModel, size: tuple[int, int]
) -> None:
    image = photograph(*size)
    for phrase in ("dress", "a red bag"):
        found = list(ours.for_phrases({"it": (phrase,)}).find(image))
        assert found
        assert_equal(found, library_answer(folder, Image.fromarray(image), phrase))


def test_a_turned_photograph_is_answered_upright(folder: Path, ours: ConceptModel) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photograph(80, 60)).save(file, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    found = list(ours.for_phrases({"it": ("dress",)}).find(decode(file.getvalue(), 10_000)))
    assert_equal(found, library_answer(folder, upright, "dress"))


def test_answers_share_no_pixel_and_are_the_same_again(ours: ConceptModel) -> None:
    model = ours.for_phrases(PHRASES)
    assert model.classes == ("background", "dress", "accessories")
    image = photograph(90, 60)
    first, again = (model.segment([image])[0] for _ in "12")
    assert first
    assert np.sum([instance.mask for instance in first], axis=0).max() == 1
    for one, other in zip(first, again, strict=True):
        assert (one.class_index, one.score) == (other.class_index, other.score)
        assert np.array_equal(one.mask, other.mask)


def test_before_it_is_asked_for_anything_it_finds_nothing(ours: ConceptModel) -> None:
    assert ours.classes == ()
    assert ours.segment([photograph(20, 20)]) == [[]]


def square(left: int, right: int, score: float, class_index: int = 1) -> Instance:
    mask: npt.NDArray[np.bool_] = np.zeros((10, 30), np.bool_)
    mask[:, left:right] = True
    return Instance.of(mask, class_index, score)


def test_doubles_go_and_each_pixel_is_the_best_scores() -> None:
    best, double, next_to, inside = (
        square(0, 10, 0.9),
        square(0, 9, 0.8, 2),
        square(8, 20, 0.7, 2),
        square(1, 5, 0.6, 3),
    )
    found = apart([inside, next_to, double, best])
    assert [(i.class_index, i.left, i.area) for i in found] == [(1, 0, 100), (2, 10, 100)]


def test_all_phrases_at_once_give_what_each_gives_alone(ours: ConceptModel) -> None:
    image = photograph(90, 60)
    network, queries = ours.network, [Query(name) for name in ("dress", "bag", "a red hat")]
    features = network.features(image)
    alone, at_once = (list(network.find(features, queries, (90, 60), n)) for n in (1, 3))
    assert [each.presence for each in at_once] == pytest.approx([e.presence for e in alone], 1e-4)
    for one, other in zip(alone, at_once, strict=True):
        assert_equal(other.instances, [(each.score, each.mask) for each in one.instances])


def test_a_batch_that_does_not_fit_is_made_smaller(ours: ConceptModel) -> None:
    image = photograph(90, 60)
    network, queries = ours.network, [Query(letter) for letter in "abcde"]
    features = network.features(image)
    expected = [each.presence for each in network.find(features, queries, (90, 60), 1)]
    with refusing_batches_above(2, network) as sizes:
        found = list(network.find(features, queries, (90, 60), 5))
    assert sizes == [5, 2, 2, 1]
    assert [each.presence for each in found] == pytest.approx(expected, abs=1e-4)


def test_where_not_even_one_fits_it_says_so_and_recovers(ours: ConceptModel) -> None:
    model = ours.for_phrases(PHRASES)
    image = photograph(90, 60)
    with (
        refusing_batches_above(0, ours.network),
        pytest.raises(BusyError, match="ran out of GPU memory"),
        recovering_memory(90, 60),
    ):
        model.segment([image])
    assert model.segment([image])[0]


@contextmanager
def refusing_batches_above(most: int, network: ConceptNetwork) -> Iterator[list[int]]:
    """Let the network run out of memory as a GPU does; gives the sizes that it is asked for."""
    sizes: list[int] = []

    def refuse(_module: Any, _args: Any, inputs: Any) -> None:
        sizes.append(inputs["attention_mask"].shape[0])
        if sizes[-1] > most:
            raise torch.OutOfMemoryError

    handle = network.network.register_forward_pre_hook(refuse, with_kwargs=True)
    try:
        yield sizes
    finally:
        handle.remove()


@torch.no_grad()
def test_what_is_like_a_box_is_what_the_library_finds(folder: Path, ours: ConceptModel) -> None:
    image = photograph(90, 60)
    network: Any = Sam3Model.from_pretrained(folder).eval()
    processor: Any = Sam3Processor.from_pretrained(folder)
    inputs = processor(
        images=Image.fromarray(image), input_boxes=[[[10.0, 5.0, 50.0, 60.0]]], return_tensors="pt"
    )
    names = ("pixel_values", "input_ids", "attention_mask", "input_boxes", "input_boxes_labels")
    outputs = network(**{name: inputs[name] for name in names})
    (found,) = processor.post_process_instance_segmentation(outputs, target_sizes=[(90, 60)])
    query = Query(boxes=(Box(10, 5, 50, 60),))
    (answer,) = ours.network.find(ours.network.features(image), [query], (90, 60))
    expected = zip(found["scores"].tolist(), found["masks"].numpy().astype(bool), strict=True)
    assert_equal(answer.instances, [(score, mask) for score, mask in expected if mask.any()])


def test_an_image_is_encoded_once(ours: ConceptModel) -> None:
    model = ours.for_phrases({"it": ("dress",)})
    image = photograph(64, 48)
    expected = model.segment([image])[0]
    encoder = ours.network.network.vision_encoder
    handle = encoder.register_forward_pre_hook(lambda *_: pytest.fail("encoded again"))
    try:
        again = model.segment([image])[0]
        assert [each.score for each in again] == [each.score for each in expected]
        assert 0 <= model.presence(image, ["bag"])["bag"] <= 1
    finally:
        handle.remove()
