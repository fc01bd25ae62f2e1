"""What the big models' own libraries answer, given the same weights, image and prompts."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from segment_anything import SamPredictor  # type: ignore[import-untyped]
from transformers import Sam2Model, Sam2Processor

from sam_backend.models.base import Mask, Point, PromptableModel, Prompts
from sam_backend.models.sam2 import SegmentAnything2
from sam_backend.models.segment_anything import SegmentAnything
from tests.support import tiny_sam, tiny_sam2
from tests.support.sam_calls import mask_of
from tests.support.sam_upstream import (
    PROMPTS,
    TURNED,
    ask_about_a_turned_photograph,
    assert_bfloat16_changes_little,
    assert_equal,
    at_size,
    photograph,
)

SIZES = [(96, 128), (128, 96), (333, 77), (41, 41), (500, 777), (7, 3), (3, 50), (1, 60)]


class Upstream(Protocol):
    """A library's own predictor."""

    def masks(
        self, image: npt.NDArray[np.uint8], prompts: Prompts, previous: Mask | None = None
    ) -> list[Mask]:
        """One mask, or three for a lone click."""


class MetasPredictor:
    """The package segment-anything, as its notebook shows."""

    def __init__(self, folder: Path, file: str) -> None:
        sam = tiny_sam.build().eval()
        sam.load_state_dict(torch.load(folder / file, weights_only=True))
        self._predictor = SamPredictor(sam)

    def masks(
        self, image: npt.NDArray[np.uint8], prompts: Prompts, previous: Mask | None = None
    ) -> list[Mask]:
        self._predictor.set_image(image)
        box, points = prompts.box, prompts.points
        found = self._predictor.predict(
            point_coords=np.array([(p.x, p.y) for p in points]) if points else None,
            point_labels=np.array([p.positive for p in points]) if points else None,
            box=np.array([box.left, box.top, box.right, box.bottom]) if box else None,
            mask_input=previous.logits[None] if previous else None,
            multimask_output=box is None and len(points) == 1,
        )
        return [
            Mask(mask, float(score), logits) for mask, score, logits in zip(*found, strict=True)
        ]


class TransformersSam2:
    """The way that transformers' documentation shows: everything again for each question."""

    def __init__(self, folder: Path) -> None:
        self._network: Any = Sam2Model.from_pretrained(folder).eval()
        self._processor: Any = Sam2Processor.from_pretrained(folder)

    @torch.no_grad()
    def masks(
        self, image: npt.NDArray[np.uint8], prompts: Prompts, previous: Mask | None = None
    ) -> list[Mask]:
        given: dict[str, Any] = {}
        if prompts.points:
            given["input_points"] = [[[[p.x, p.y] for p in prompts.points]]]
            given["input_labels"] = [[[int(p.positive) for p in prompts.points]]]
        if b := prompts.box:
            given["input_boxes"] = [[[b.left, b.top, b.right, b.bottom]]]
        inputs = self._processor(images=Image.fromarray(image), return_tensors="pt", **given)
        outputs = self._network(
            **inputs,
            input_masks=torch.tensor(previous.logits)[None, None] if previous else None,
            multimask_output=prompts.box is None and len(prompts.points) == 1,
        )
        sizes = inputs["original_sizes"]
        pixels = self._processor.post_process_masks(outputs.pred_masks, sizes)[0][0].numpy()
        scores, logits = outputs.iou_scores[0, 0], outputs.pred_masks[0, 0]
        return [Mask(*each) for each in zip(pixels, scores.tolist(), logits.numpy(), strict=True)]


@dataclass(frozen=True)
class Both:
    """Our model and the library's, of the same weights."""

    ours: PromptableModel
    fast: PromptableModel
    upstream: Upstream

    def best(
        self, image: npt.NDArray[np.uint8], prompts: Prompts, previous: Mask | None = None
    ) -> Mask:
        return max(self.upstream.masks(image, prompts, previous), key=lambda mask: mask.score)


def sam(folder: Path) -> Both:
    weights = tiny_sam.save(folder)
    ours, fast = (
        SegmentAnything.load(weights, folder, "cpu", dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    return Both(ours, fast, MetasPredictor(folder, weights.files[0].path))


def sam2(folder: Path) -> Both:
    weights = tiny_sam2.save(folder)
    ours, fast = (
        SegmentAnything2.load(weights, folder, "cpu", dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    return Both(ours, fast, TransformersSam2(folder / weights.name))


FAMILIES: dict[str, Callable[[Path], Both]] = {"sam": sam, "sam2": sam2}


@pytest.fixture(scope="module", params=FAMILIES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return FAMILIES[request.param](tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_masks_are_identical_to_those_of_the_library(both: Both, size: tuple[int, int]) -> None:
    image = photograph(*size)
    embedding = both.ours.embed(image)
    telling = 0
    for prompts in PROMPTS.values():
        expected = both.best(image, at_size(prompts, *size))
        assert_equal(both.ours.segment(embedding, at_size(prompts, *size)), expected)
        telling += 0 < expected.pixels.mean() < 1
    assert telling >= 2


def test_a_refined_mask_is_identical_when_the_library_gets_its_own_logits_back(
    both: Both,
) -> None:
    image = photograph(96, 128)
    embedding = both.ours.embed(image)
    clicks = at_size(PROMPTS["clicks for and against"], 96, 128)
    theirs = mine = None
    for count in range(1, 4):
        step = replace(clicks, points=clicks.points[:count])
        theirs = both.best(image, step, theirs)
        mine = both.ours.segment(embedding, step, mine)
        assert_equal(mine, theirs)
    assert mine
    assert not np.allclose(mine.logits, both.ours.segment(embedding, clicks).logits, atol=1e-3)


def test_of_the_three_masks_for_one_click_the_best_rated_is_given(both: Both) -> None:
    image = photograph(96, 128)
    lone = Prompts(points=(Point(50, 50),))
    scores = [mask.score for mask in both.upstream.masks(image, lone)]
    assert len(set(scores)) == 3
    mask = both.ours.segment(both.ours.embed(image), lone)
    assert mask.score == pytest.approx(max(scores), abs=1e-4)


def test_a_turned_photograph_is_answered_in_the_frame_that_the_labeler_sees(
    both: Both, tmp_path: Path
) -> None:
    shown, region = ask_about_a_turned_photograph(both.ours, tmp_path)
    image = np.asarray(shown)
    before = both.best(image, replace(TURNED, points=()))
    assert np.array_equal(mask_of(region), both.best(image, TURNED, before).pixels)


def test_bfloat16_changes_little(both: Both) -> None:
    assert_bfloat16_changes_little(both.ours, both.fast)
