"""What every garment model keeps to, whichever network it is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from segmentation_backend.models.base import ClassMap, GarmentModel
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from segmentation_backend.models.segformer import SegformerGarmentModel
from synthetic.people import draw_figure
from tests.support import tiny_segformer


def segformer(folder: Path) -> GarmentModel:
    return SegformerGarmentModel.load(tiny_segformer.save(folder), folder, "cpu", torch.float32)


MODELS: dict[str, Callable[[Path], GarmentModel]] = {
    "embedded": lambda _folder: EmbeddedGarmentModel.load(),
    "segformer": segformer,
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    return MODELS[request.param](tmp_path_factory.mktemp("models"))


def assert_equal(one: ClassMap, other: ClassMap) -> None:
    """Equal to the last digit: the big model's answers are to be its library's."""
    assert np.array_equal(one.indices, other.indices)
    assert np.array_equal(one.scores, other.scores)


def assert_alike(one: ClassMap, other: ClassMap) -> None:
    """Equal but for the last digits, in which a network that takes several at once may differ."""
    assert np.mean(one.indices == other.indices) > 0.999
    assert one.scores == pytest.approx(other.scores, abs=0.01)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 900), (65, 400), (400, 65), (333, 517), (2000, 3000)], ids=str
)
def test_any_size_gets_a_map_of_its_own_size(model: GarmentModel, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    (answer,) = model.segment([image])
    assert answer.indices.shape == size
    assert answer.indices.dtype == np.uint8
    assert answer.scores.shape == (len(model.classes),)
    assert answer.scores.dtype == np.float32
    assert set(np.unique(answer.indices)) <= set(range(len(model.classes)))
    assert np.all((answer.scores >= 0) & (answer.scores <= 1))


def test_a_photograph_gets_the_same_answer_alone_among_others_and_in_threads(
    model: GarmentModel,
) -> None:
    figures = [draw_figure(9000 + seed, 300, 200).image for seed in range(6)]
    wide = np.ascontiguousarray(figures[0][:150])
    images = [figures[0], wide, *figures[1:], wide]
    assert_same = assert_equal if isinstance(model, SegformerGarmentModel) else assert_alike
    alone = [model.segment([image])[0] for image in images]
    for one, among in zip(alone, model.segment(images), strict=True):
        assert_same(one, among)
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda image: model.segment([image])[0], images))
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other)


def test_no_image_gets_no_answer(model: GarmentModel) -> None:
    assert model.segment([]) == []


def test_the_version_is_a_name_and_the_first_class_is_the_background(model: GarmentModel) -> None:
    assert model.version
    assert model.version.isprintable()
    assert model.classes[0].casefold() == "background"
    assert len({*model.classes}) == len(model.classes)
