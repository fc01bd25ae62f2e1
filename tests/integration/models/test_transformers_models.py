"""Any checkpoint: what transformers' own processor and post-processing answer, and bad folders."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageOps
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForInstanceSegmentation,
    AutoModelForSemanticSegmentation,
    AutoModelForUniversalSegmentation,
)

from ml_backend.errors import ModelError
from ml_backend.images.decode import decode
from segmentation_backend.models.base import Instance
from segmentation_backend.models.transformers_model import TransformersModel
from tests.support import tiny_transformers as tiny

Pixels = npt.NDArray[np.uint8]
SIZES = [(64, 96), (77, 53), (7, 60), (90, 3)]

SEMANTIC = {"segformer", "beit", "upernet"}
INSTANCE = {"rf_detr", "maskformer"}


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(request.param, tmp_path_factory.mktemp(request.param) / request.param)


@pytest.fixture(scope="module")
def ours(folder: Path) -> TransformersModel:
    return TransformersModel.load(folder, "tiny", "cpu")


@torch.no_grad()
def library_answers(folder: Path, image: Image.Image) -> list[tuple[str, float | None, Pixels]]:
    """Class, score (None for class maps) and mask of everything that the library finds."""
    family = folder.name
    kind: Any = AutoModelForUniversalSegmentation
    if family in SEMANTIC | INSTANCE:
        kind = (
            AutoModelForSemanticSegmentation
            if family in SEMANTIC
            else AutoModelForInstanceSegmentation
        )
    network = kind.from_pretrained(folder).eval()
    processor: Any = AutoImageProcessor.from_pretrained(folder)
    inputs = processor(images=image, return_tensors="pt")
    inputs.pop("patch_offsets", None)
    outputs = network(**inputs)
    names = AutoConfig.from_pretrained(folder).id2label
    sizes = [image.size[::-1]]
    if family in SEMANTIC:
        (found,) = processor.post_process_semantic_segmentation(outputs, target_sizes=sizes)
        numbers = found.numpy()
        return [(names[int(n)], None, numbers == n) for n in np.unique(numbers)]
    task = "instance" if family == "rf_detr" else "panoptic"
    process = getattr(processor, f"post_process_{task}_segmentation")
    (found,) = process(outputs, target_sizes=sizes)
    numbers = found["segmentation"].numpy()
    return [
        (names[each["label_id"]], each["score"], numbers == each["id"])
        for each in found["segments_info"]
        if (numbers == each["id"]).any()
    ]


def photograph(height: int, width: int) -> Pixels:
    coarse = np.random.default_rng(height).integers(0, 256, (6, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def assert_equal(
    ours: TransformersModel,
    found: list[Instance],
    expected: list[tuple[str, float | None, Pixels]],
) -> None:
    assert len(found) == len(expected)
    for instance, (name, score, mask) in zip(found, expected, strict=True):
        assert ours.classes[instance.class_index] == name
        assert np.array_equal(instance.mask, mask)
        assert score is None or instance.score == pytest.approx(score, abs=1e-4)


def test_instances_are_those_of_the_library(folder: Path, ours: TransformersModel) -> None:
    count = 0
    for size in SIZES:
        image = photograph(*size)
        (found,) = ours.segment([image])
        expected = library_answers(folder, Image.fromarray(image))
        assert_equal(ours, found, expected)
        count += len(found)
    assert count


def test_a_turned_photograph_is_answered_as_the_library_answers_it_upright(
    folder: Path, ours: TransformersModel
) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photograph(80, 60)).save(file, "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
    (found,) = ours.segment([decode(file.getvalue(), 10_000)])
    assert_equal(ours, found, library_answers(folder, upright))


def test_a_network_whose_first_class_is_a_thing_gets_a_background_of_its_own(
    tmp_path: Path,
) -> None:
    folder = tiny.save("segformer", tmp_path)
    model = TransformersModel.load(folder, "tiny", "cpu")
    assert model.classes == ("background", "person", "dress", "shoe", "sky")
    tiny.change_config(folder, id2label={0: "Background", 1: "dress", 2: "shoe", 3: "sky"})
    with_background = TransformersModel.load(folder, "tiny", "cpu")
    assert with_background.classes == ("Background", "dress", "shoe", "sky")
    image = photograph(64, 64)
    found, named = (
        {m.classes[i.class_index]: i.area for i in m.segment([image])[0]}
        for m in (model, with_background)
    )
    assert found.pop("person") > 0
    assert named == found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id2label": None}, "does not name its classes"),
        (
            {"architectures": ["SegformerForImageClassification"]},
            "is a SegformerForImageClassification",
        ),
        ({"architectures": ["BertModel"], "model_type": "bert"}, "is a BertModel"),
        ({"model_type": "not-known-yet"}, "transformers cannot read config.json"),
        ({"auto_map": {"AutoModel": "code.Model"}}, "code of its own, which is never run"),
    ],
)
def test_a_folder_that_cannot_serve_says_why(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = tiny.save("segformer", tmp_path)
    tiny.change_config(folder, **changes)
    with pytest.raises(ModelError, match=message):
        TransformersModel.load(folder, "tiny", "cpu")


def test_damaged_or_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        TransformersModel.load(tmp_path, "tiny", "cpu")
    folder = tiny.save("segformer", tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="cannot be read"):
        TransformersModel.load(folder, "tiny", "cpu")
    weights.unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        TransformersModel.load(folder, "tiny", "cpu")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    folder = tiny.save("segformer", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    tiny.change_config(folder, decoder_hidden_size=config["decoder_hidden_size"] * 2)
    with pytest.raises(ModelError, match="do not fit"):
        TransformersModel.load(folder, "tiny", "cpu")
