"""Prompts for any image, and when two masks count as the same: for the networks of others."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from sam_backend.models.base import Box, Mask, Point, PromptableModel, Prompts
from tests.support.sam_calls import body, box, click, make_app, make_predictor

Pixels = npt.NDArray[np.uint8]

PROMPTS = {
    "a box": Prompts(Box(0.2, 0.1, 0.7, 0.8)),
    "one click": Prompts(points=(Point(0.4, 0.6),)),
    "clicks for and against": Prompts(
        points=(Point(0.4, 0.6), Point(0.8, 0.1), Point(0.5, 0.5, positive=False))
    ),
    "a box and clicks": Prompts(
        Box(0.1, 0.3, 0.9, 0.9), (Point(0.5, 0.4), Point(0.2, 0.8, positive=False))
    ),
}


def photograph(height: int, width: int) -> Pixels:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def at_size(prompts: Prompts, height: int, width: int) -> Prompts:
    """Prompts given in fractions, in pixels."""
    return prompts.scaled(width, height)


TURNED = Prompts(Box(32, 24, 96, 72), (Point(51.2, 57.6),))
"""In pixels of the photograph that ``ask_about_a_turned_photograph`` asks about."""


def ask_about_a_turned_photograph(
    model: PromptableModel, folder: Path
) -> tuple[Image.Image, dict[str, Any]]:
    """What a labeler sees of a photograph that lies, 128 x 96, and what ``TURNED`` finds in it."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown turned by 90 degrees clockwise
    Image.fromarray(photograph(128, 96)).save(file, "PNG", exif=exif)
    seen = ImageOps.exif_transpose(Image.open(file))
    client = make_app(make_predictor(model, folder)).test_client()
    reference = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    answer = client.post("/predict", json=body(reference, box(25, 25, 50, 50), click(40, 60)))
    assert answer.json
    (region,) = answer.json["results"][0]["result"]
    assert (region["original_width"], region["original_height"]) == seen.size == (128, 96)
    return seen, region


def assert_equal(ours: Mask, theirs: Mask) -> None:
    assert np.array_equal(ours.pixels, theirs.pixels)
    assert ours.score == pytest.approx(theirs.score, abs=1e-4)
    assert np.allclose(ours.logits, theirs.logits, atol=1e-4)


def assert_bfloat16_changes_little(exact: PromptableModel, fast: PromptableModel) -> None:
    """Embeddings made in bfloat16 are near to those in float32; clicks nearby stay apart."""
    image = photograph(1000, 1000)
    precise, quick = exact.embed(image), fast.embed(image)
    for name, tensor in precise.tensors.items():
        one, other = np.asarray(tensor, "f4"), np.asarray(quick.tensors[name], "f4")
        assert 0 < np.abs(one - other).mean() < 0.05 * np.abs(one).mean()
    first, second = (fast.segment(quick, Prompts(points=(Point(x, 500),))) for x in (800, 801))
    assert not np.array_equal(first.logits, second.logits)
