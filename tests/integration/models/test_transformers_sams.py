"""EdgeTAM, HQ-SAM and SAM 3's tracker: what transformers' own model and processor answer."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from transformers import AutoConfig, EdgeTamModel, Sam3TrackerModel, SamHQModel

from ml_backend.errors import ModelError
from ml_backend.images.decode import decode
from sam_backend.models.base import Mask, PromptableModel, Prompts
from sam_backend.models.registry import load_folder
from sam_backend.models.sam2 import SegmentAnything2
from sam_backend.models.sam_hq import SegmentAnythingHq
from tests.support import tiny_sams
from tests.support.sam_upstream import (
    PROMPTS,
    TURNED,
    assert_equal,
    at_size,
    photograph,
)
from tests.support.tiny_transformers import change_config

NETWORKS: dict[str, Any] = {
    "edgetam": EdgeTamModel,
    "sam3_tracker": Sam3TrackerModel,
    "sam_hq": SamHQModel,
}


@pytest.fixture(scope="module", params=tiny_sams.FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sams.save(request.param, tmp_path_factory.mktemp(request.param) / request.param)


@pytest.fixture(scope="module")
def ours(folder: Path) -> PromptableModel:
    if folder.name == "sam_hq":
        return SegmentAnythingHq.load_folder(folder, "tiny", "cpu", torch.float32)
    return SegmentAnything2.load_folder(folder, "tiny", "cpu", torch.float32)


@torch.no_grad()
def library_mask(folder: Path, image: Image.Image, prompts: Prompts) -> Mask:
    network = NETWORKS[folder.name].from_pretrained(folder).eval()
    processor = tiny_sams.processor_of(folder)
    # HQ-SAM's processor has no dimension for several objects in its boxes.
    flat = folder.name == "sam_hq"
    given: dict[str, Any] = {}
    if prompts.points:
        given["input_points"] = [[[[p.x, p.y] for p in prompts.points]]]
        given["input_labels"] = [[[int(p.positive) for p in prompts.points]]]
    if box := prompts.box:
        given["input_boxes"] = [[[box.left, box.top, box.right, box.bottom]]]
    inputs = processor(images=image, return_tensors="pt", **given)
    lone = prompts.box is None and len(prompts.points) == 1
    accepted = {name: each for name, each in inputs.items() if name.startswith(("pixel", "input_"))}
    answer = network(**accepted, multimask_output=lone)
    best = int(answer.iou_scores[0, 0].argmax())
    sizes = [inputs["reshaped_input_sizes"]] if flat else []
    masks = processor.post_process_masks(answer.pred_masks, inputs["original_sizes"], *sizes)
    return Mask(
        masks[0][0, best].numpy(),
        float(answer.iou_scores[0, 0, best].clamp(0, 1)),
        answer.pred_masks[0, 0, best].numpy(),
    )


@pytest.mark.parametrize("size", [(96, 128), (333, 77), (7, 30)], ids=str)
@pytest.mark.parametrize("name", PROMPTS)
def test_masks_are_those_of_the_library(
    folder: Path, ours: PromptableModel, size: tuple[int, int], name: str
) -> None:
    image, prompts = photograph(*size), at_size(PROMPTS[name], *size)
    expected = library_mask(folder, Image.fromarray(image), prompts)
    assert_equal(ours.segment(ours.embed(image), prompts), expected)


def test_a_turned_photograph_is_masked_in_the_frame_that_the_labeler_sees(
    folder: Path, ours: PromptableModel
) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying, shown turned by 90 degrees clockwise
    Image.fromarray(photograph(128, 96)).save(file, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    expected = library_mask(folder, upright, TURNED)
    assert_equal(ours.segment(ours.embed(decode(file.getvalue(), 20_000)), TURNED), expected)


def test_an_embedding_has_the_layout_that_the_store_reads(ours: PromptableModel) -> None:
    tensors = ours.embed(photograph(60, 90)).to_float16().tensors
    found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
    expected = {name: (tuple(shape), dtype) for name, (shape, dtype) in ours.layout(60, 90).items()}
    assert found == expected


def test_a_further_click_refines_the_mask_before(ours: PromptableModel) -> None:
    embedding = ours.embed(photograph(96, 128))
    prompts = at_size(PROMPTS["clicks for and against"], 96, 128)
    first = ours.segment(embedding, Prompts(points=prompts.points[:-1]))
    refined = ours.segment(embedding, prompts, first)
    assert not np.allclose(refined.logits, ours.segment(embedding, prompts).logits, atol=1e-4)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = tiny_sams.save("sam_hq", tmp_path)
    assert AutoConfig.from_pretrained(folder).model_type == "sam_hq"
    change_config(folder, model_type="segformer")
    with pytest.raises(ModelError, match="not a supported interactive segmenter"):
        load_folder(folder, "tiny", "cpu")
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        load_folder(folder, "tiny", "cpu")
