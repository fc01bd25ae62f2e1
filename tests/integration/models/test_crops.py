"""Small boxes in large pictures are answered from a part around them, with its own embedding."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.geometry import Box, Point
from sam_backend.crops import ROOM, SMALL, Crop, crop_for
from sam_backend.models.base import Embedding, Mask, Prompts
from tests.support.sam_calls import Json, body, box, click, make_app, make_predictor, mask_of
from tests.support.scenes import FillModel, data_uri

Pixels = npt.NDArray[np.uint8]
Truth = npt.NDArray[np.bool_]
SIDE = 1024


class ReducingModel(FillModel):
    """Sees every picture at 1024 pixels, as the big models do."""

    input_side = SIDE

    def embed(self, image: Pixels) -> Embedding:
        height, width = image.shape[:2]
        by = SIDE / max(height, width)
        size = (max(1, round(width * by)), max(1, round(height * by)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        made = super().embed(np.asarray(small, np.uint8))
        return Embedding(height, width, made.tensors)

    def layout(self, height: int, width: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        by = SIDE / max(height, width)
        return {"image": ((max(1, round(height * by)), max(1, round(width * by)), 3), torch.uint8)}

    def segment(self, embedding: Embedding, prompts: Prompts, previous: Mask | None = None) -> Mask:
        rows, columns = embedding.tensors["image"].shape[:2]
        small = prompts.scaled(columns / embedding.width, rows / embedding.height)
        found = super().segment(embedding, small, None)
        size = (embedding.width, embedding.height)
        pixels = cv2.resize(found.pixels.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        return Mask(pixels, found.score, found.logits)


def thing(height: int, width: int, x: int, y: int) -> tuple[Pixels, Truth]:
    """A 100 x 60 pixels star on grey, its middle at a place."""
    angles = np.arange(10) * np.pi / 5
    radius = np.where(np.arange(10) % 2, 0.45, 1.0)
    points = np.stack([x + 50 * radius * np.cos(angles), y + 30 * radius * np.sin(angles)], 1)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], (1,))
    image = np.full((height, width, 3), 128, np.uint8)
    image[mask > 0] = (200, 30, 40)
    return image, mask > 0


def ask(client: object, image: Pixels, *regions: Json) -> Truth:
    answer = client.post("/predict", json=body(data_uri(image), *regions))  # type: ignore[attr-defined]
    (prediction,) = answer.json["results"]
    found: Truth = np.logical_or.reduce([mask_of(each) for each in prediction["result"]])
    return found


def around(height: int, width: int, x: int, y: int) -> Json:
    """A smart rectangle around the thing, in percent."""
    return box(100 * (x - 54) / width, 100 * (y - 34) / height, 10800 / width, 6800 / height)


def overlap(one: Truth, other: Truth) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_small_thing_in_a_very_large_picture_is_found_as_well_as_in_a_small_one(
    tmp_path: Path,
) -> None:
    found = {}
    for height, width in ((768, 1024), (6000, 8000)):
        model = ReducingModel()
        client = make_app(make_predictor(model, tmp_path / str(width))).test_client()
        x, y = width * 5 // 8 + 11, height * 3 // 8 + 7
        image, truth = thing(height, width, x, y)
        mask = ask(client, image, around(height, width, x, y))
        found[width] = overlap(mask, truth)
        if width == 8000:
            whole, part = model.embedded
            assert whole.shape[:2] == (768, SIDE)
            assert part.shape[:2] == (SIDE, SIDE)
            x += 40  # close by: the same part, embedded once
            ask(client, image, around(height, width, x, y))
            assert len(model.embedded) == 2
    assert found[8000] >= found[1024] - 0.02
    assert found[1024] > 0.9


def test_two_small_things_and_clicks_in_a_box_are_answered_together(tmp_path: Path) -> None:
    model = ReducingModel()
    client = make_app(make_predictor(model, tmp_path)).test_client()
    first, one = thing(3000, 4000, 500, 400)
    second, other = thing(3000, 4000, 3500, 2600)
    image = np.where(other[..., None], second, first)
    places = ((500, 400), (3500, 2600))
    boxes = [around(3000, 4000, *place) for place in places]
    on_first = click(100 * 500 / 4000, 100 * 400 / 3000)
    found = ask(client, image, *boxes, on_first)
    assert overlap(found, one | other) > 0.9
    assert len(model.embedded) == 3


@given(
    left=st.floats(0, 7800),
    top=st.floats(0, 5800),
    width=st.floats(1, 900),
    height=st.floats(1, 900),
)
def test_a_part_holds_the_box_with_room_and_stays_within_the_picture(
    left: float, top: float, width: float, height: float
) -> None:
    box_ = Box(left, top, min(left + width, 8000), min(top + height, 6000))
    crop = crop_for(Prompts(box_), 6000, 8000, SIDE)
    if crop is None:
        longest = max(box_.right - box_.left, box_.bottom - box_.top)
        assert box_.area >= SMALL * 48_000_000 or longest * ROOM > 4096
        return
    assert 0 <= crop.left < crop.right <= 8000
    assert 0 <= crop.top < crop.bottom <= 6000
    assert crop.left <= box_.left
    assert box_.right <= crop.right
    assert crop.top <= box_.top
    assert box_.bottom <= crop.bottom
    assert max(crop.right - crop.left, crop.bottom - crop.top) >= SIDE // 2
    placed = crop.place(Prompts(box_, (Point(left, top),)))
    assert placed.points[0].x == left - crop.left
    assert placed.box is not None
    assert placed.box.area == pytest.approx(box_.area)


TINY = Box(100, 100, 160, 140)


@pytest.mark.parametrize(
    ("prompts", "size", "side"),
    [
        (Prompts(points=(Point(100, 100),)), (6000, 8000), SIDE),
        (Prompts(TINY, (Point(7000, 5000, False),)), (6000, 8000), SIDE),
        (Prompts(Box(0, 0, 2000, 2000)), (6000, 8000), SIDE),
        (Prompts(TINY), (768, 1024), SIDE),
        (Prompts(TINY), (6000, 8000), None),
    ],
)
def test_the_whole_picture_is_kept_where_it_is_as_good(
    prompts: Prompts, size: tuple[int, int], side: int | None
) -> None:
    assert crop_for(prompts, *size, side) is None


def test_a_mask_of_a_part_lies_in_its_place() -> None:
    mask = Mask(np.ones((2, 3), np.bool_), 0.5, np.zeros((0, 0), np.float16))
    whole = Crop(4, 1, 7, 3).paste(mask, 5, 9)
    assert whole.pixels.sum() == 6
    assert whole.pixels[1:3, 4:7].all()
