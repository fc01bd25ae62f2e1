"""What every garment model keeps to, whichever network it is."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from segmentation_backend.models.base import (
    Instance,
    SegmentationModel,
    pack_instances,
    unpack_instances,
)
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from segmentation_backend.models.segformer import SegformerGarmentModel
from synthetic.people import draw_figure
from tests.support import tiny_segformer


def segformer(folder: Path) -> SegmentationModel:
    return SegformerGarmentModel.load(tiny_segformer.save(folder), folder, "cpu", torch.float32)


MODELS: dict[str, Callable[[Path], SegmentationModel]] = {
    "embedded": lambda _folder: EmbeddedGarmentModel.load(),
    "segformer": segformer,
}


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    return MODELS[request.param](tmp_path_factory.mktemp("models"))


def assert_equal(one: list[Instance], other: list[Instance]) -> None:
    """Equal to the last digit: the big model's answers are to be its library's."""
    for mine, theirs in zip(one, other, strict=True):
        assert (mine.class_index, mine.score) == (theirs.class_index, theirs.score)
        assert np.array_equal(mine.mask, theirs.mask)


def assert_alike(one: list[Instance], other: list[Instance]) -> None:
    """Equal but for the last digits, in which a network that takes several at once may differ."""
    large = [[i for i in each if i.area > 200] for each in (one, other)]
    for mine, theirs in zip(*large, strict=True):
        assert mine.class_index == theirs.class_index
        assert np.mean(mine.mask == theirs.mask) > 0.999
        assert mine.score == pytest.approx(theirs.score, abs=0.01)


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 900), (65, 400), (400, 65), (333, 517), (2000, 3000)], ids=str
)
def test_instances_of_any_size_lie_in_the_photograph(
    model: SegmentationModel, size: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    (instances,) = model.segment([image])
    for instance in instances:
        assert 0 < instance.class_index < len(model.classes)
        assert 0 <= instance.score <= 1
        assert instance.mask.shape == size
        assert instance.mask.sum() == instance.area > 0
    assert_equal(unpack_instances(pack_instances(instances)), instances)


def test_a_photograph_gets_the_same_answer_alone_among_others_and_in_threads(
    model: SegmentationModel,
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


def test_no_image_gets_no_answer(model: SegmentationModel) -> None:
    assert model.segment([]) == []


def test_the_version_is_a_name_and_the_first_class_is_the_background(
    model: SegmentationModel,
) -> None:
    assert model.version
    assert model.version.isprintable()
    assert model.classes[0].casefold() == "background"
    assert len({*model.classes}) == len(model.classes)
