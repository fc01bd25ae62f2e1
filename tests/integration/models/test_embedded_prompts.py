"""The promptable network that ships: what a labeler's boxes and clicks come to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]

from ml_backend.errors import ModelError
from sam_backend.models.base import Box, Embedding, Mask, Point, PromptableModel, Prompts
from sam_backend.models.embedded import WEIGHTS, EmbeddedPromptableModel
from sam_backend.models.frames import bounds
from synthetic.people import draw_figure
from synthetic.scenes import draw_scene
from training.clicks import centre_of, iou, next_click
from training.grabcut import grab_cut

Bools = npt.NDArray[np.bool_]


@pytest.fixture(scope="module")
def model() -> EmbeddedPromptableModel:
    return EmbeddedPromptableModel.load()


@dataclass(frozen=True, eq=False)
class Garment:
    """A garment of a drawn person.

    Attributes:
        image: Picture (H, W, 3) uint8 RGB.
        embedding: What the model keeps of the picture.
        mask: Pixels (H, W) of the garment.
    """

    image: npt.NDArray[np.uint8]
    embedding: Embedding
    mask: Bools


@pytest.fixture(scope="module")
def garments(model: EmbeddedPromptableModel) -> list[Garment]:
    """Every large garment of some drawn people, none under a coat."""
    figures = [draw_figure(9100 + seed, 480, 320) for seed in range(9)]
    return [
        Garment(figure.image, embedding, mask)
        for figure in figures
        if "coat" not in figure.masks
        for embedding in [model.embed(figure.image)]
        for mask in figure.masks.values()
        if mask.sum() > 1200
    ]


def centre(mask: Bools) -> Prompts:
    x, y = centre_of(mask)
    return Prompts(points=(Point(x + 0.5, y + 0.5),))


def corrections(
    model: EmbeddedPromptableModel, embedding: Embedding, truth: Bools, count: int
) -> Iterator[float]:
    """The IoU after one click in the centre and after each of ``count`` corrections."""
    prompts = centre(truth)
    answer = model.segment(embedding, prompts)
    yield iou(truth, answer.pixels)
    for _ in range(count):
        click = next_click(truth, answer.pixels)
        if click is not None:
            prompts = Prompts(points=(*prompts.points, click))
            answer = model.segment(embedding, prompts, answer)
        yield iou(truth, answer.pixels)


def test_it_serves_the_promptable_protocol(model: EmbeddedPromptableModel) -> None:
    served: PromptableModel = model
    assert served.version.startswith("embedded-4-")
    assert EmbeddedPromptableModel.load().version == served.version


def test_the_weights_are_small_enough_to_ship() -> None:
    assert WEIGHTS.stat().st_size < 12_000_000


def test_a_box_finds_the_garment_no_worse_than_grabcut(
    model: EmbeddedPromptableModel, garments: list[Garment]
) -> None:
    ours, theirs = [], []
    for each in garments:
        box = bounds(each.mask)
        assert box is not None
        ours.append(iou(each.mask, model.segment(each.embedding, Prompts(box)).pixels))
        theirs.append(iou(each.mask, grab_cut(each.image, box)))
    assert np.mean(ours) >= 0.84
    assert np.mean(ours) >= np.mean(theirs)


def test_a_click_finds_the_garment_and_corrections_improve_it(
    model: EmbeddedPromptableModel, garments: list[Garment]
) -> None:
    courses = np.array(
        [list(corrections(model, each.embedding, each.mask, 4)) for each in garments]
    )
    assert courses[:, 0].mean() >= 0.65
    assert courses[:, -1].mean() >= 0.83
    assert courses[:, -1].mean() > courses[:, 0].mean()


def test_things_of_no_class_are_found_better_than_by_grabcut(
    model: EmbeddedPromptableModel,
) -> None:
    ours, theirs = [], []
    for seed in range(9000, 9010):
        image, masks = draw_scene(seed)
        embedding = model.embed(image)
        for truth in masks:
            box = bounds(truth)
            if box is not None and truth.sum() > 600:
                ours.append(iou(truth, model.segment(embedding, Prompts(box)).pixels))
                theirs.append(iou(truth, grab_cut(image, box)))
    assert len(ours) > 30
    assert np.mean(ours) >= np.mean(theirs) + 0.05


def test_a_thing_of_everyday_is_found_on_a_photograph(model: EmbeddedPromptableModel) -> None:
    photograph = load_sample_image("flower.jpg")
    outline = np.zeros(photograph.shape[:2], np.uint8)
    truth = cv2.ellipse(outline, (308, 221), (136, 137), 0, 0, 360, (1,), cv2.FILLED) > 0
    box = bounds(truth)
    assert box is not None
    embedding = model.embed(photograph)
    by_box = iou(truth, model.segment(embedding, Prompts(box)).pixels)
    assert by_box >= iou(truth, grab_cut(photograph, box))
    assert iou(truth, model.segment(embedding, centre(truth)).pixels) > 0.9


def test_the_score_foretells_the_iou(
    model: EmbeddedPromptableModel, garments: list[Garment]
) -> None:
    for each in garments[:10]:
        answer = model.segment(each.embedding, Prompts(bounds(each.mask)))
        assert 0 <= answer.score <= 1
        assert abs(answer.score - iou(each.mask, answer.pixels)) < 0.4


def test_a_negative_click_takes_away(
    model: EmbeddedPromptableModel, garments: list[Garment]
) -> None:
    embedding, box = garments[0].embedding, bounds(garments[0].mask)
    first = model.segment(embedding, Prompts(box))
    x, y = centre_of(first.pixels)
    second = model.segment(embedding, Prompts(box, (Point(x, y, positive=False),)), first)
    assert not second.pixels[y, x]


def test_a_box_s_mask_stays_near_its_box(
    model: EmbeddedPromptableModel, garments: list[Garment]
) -> None:
    pixels = model.segment(garments[0].embedding, Prompts(Box(116, 175, 175, 244))).pixels
    found = bounds(pixels)
    assert found is not None
    assert found.left >= 110
    assert found.right <= 181
    assert found.top >= 168
    assert found.bottom <= 251


def test_a_large_photograph_is_as_good_as_a_small_one(model: EmbeddedPromptableModel) -> None:
    figure = draw_figure(9107, 3000, 2000)
    truth = max(figure.masks.values(), key=np.sum)
    answer = model.segment(model.embed(figure.image), Prompts(bounds(truth)))
    assert iou(truth, answer.pixels) >= 0.85


def test_an_embedding_is_small_and_belongs_to_nobody(
    model: EmbeddedPromptableModel, garments: list[Garment]
) -> None:
    image = garments[0].image.copy()
    embedding = model.embed(image)
    image[:] = 0
    kept = embedding.tensors["picture"]
    assert kept.max() > 0
    assert model.embed(np.zeros((4000, 3000, 3), np.uint8)).nbytes < 3_000_000


def test_an_embedding_of_another_model_is_refused(model: EmbeddedPromptableModel) -> None:
    foreign = Embedding(10, 10, {"features": torch.zeros(1, 2)})
    with pytest.raises(ModelError, match="another model"):
        model.segment(foreign, Prompts(Box(0, 0, 5, 5)))


def test_an_empty_previous_mask_does_no_harm(
    model: EmbeddedPromptableModel, garments: list[Garment]
) -> None:
    embedding, truth = garments[0].embedding, garments[0].mask
    nothing = Mask(np.zeros(truth.shape, np.bool_), 0.0, np.full(truth.shape, -9, np.float16))
    alone = model.segment(embedding, centre(truth))
    assert np.array_equal(model.segment(embedding, centre(truth), nothing).pixels, alone.pixels)


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="reinstall"):
        EmbeddedPromptableModel.load(tmp_path / "none.safetensors")


def test_weights_of_another_network_are_refused() -> None:
    garment_weights = Path("segmentation_backend/models/embedded.safetensors").resolve()
    with pytest.raises(ModelError, match="do not fit"):
        EmbeddedPromptableModel.load(garment_weights)
