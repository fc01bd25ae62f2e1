"""What transformers' own SegFormer answers, given the same folder and photograph."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from transformers import SegformerForSemanticSegmentation, SegformerImageProcessor, pipeline

from ml_backend.deadline import Deadline
from ml_backend.errors import ModelError
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.labelstudio.brush_rle import decode_rle
from ml_backend.labelstudio.label_config import Label, LabelConfig, parse_label_config
from ml_backend.labelstudio.label_matching import match_labels
from ml_backend.labelstudio.schemas import Task
from ml_backend.models.checkpoints import SEGMENTATION_WEIGHTS, Checkpoint
from segmentation_backend.classes import SYNONYMS
from segmentation_backend.models.base import decide
from segmentation_backend.models.segformer import SegformerGarmentModel, confidence
from segmentation_backend.predictor import SegmentationPredictor
from segmentation_backend.settings import RegionSettings
from tests.support import tiny_segformer
from tests.support.repository import TEMPLATE

SIZES = [(96, 128), (333, 77), (777, 500), (7, 3), (3, 50), (1, 60)]

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def weights(models_dir: Path) -> Checkpoint:
    return tiny_segformer.save(models_dir)


@pytest.fixture(scope="module")
def ours(weights: Checkpoint, models_dir: Path) -> SegformerGarmentModel:
    return SegformerGarmentModel.load(weights, models_dir, "cpu", torch.float32)


@pytest.fixture(scope="module")
def upstream(weights: Checkpoint, models_dir: Path) -> tuple[Any, Any]:
    folder = models_dir / weights.name
    network: Any = SegformerForSemanticSegmentation.from_pretrained(folder)
    return network.eval(), SegformerImageProcessor.from_pretrained(folder)


@torch.no_grad()
def ask_upstream(upstream: tuple[Any, Any], image: Image.Image) -> Pixels:
    network, processor = upstream
    outputs = network(**processor(images=image, return_tensors="pt"))
    (indices,) = processor.post_process_semantic_segmentation(outputs, [image.size[::-1]])
    return np.asarray(indices.numpy(), np.uint8)


def photograph(height: int, width: int) -> Pixels:
    coarse = np.random.default_rng(height).integers(0, 256, (8, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_classes_are_identical_to_those_of_transformers(
    ours: SegformerGarmentModel, upstream: tuple[Any, Any], size: tuple[int, int]
) -> None:
    image = photograph(*size)
    (answer,) = [ours.classify(image)]
    expected = ask_upstream(upstream, Image.fromarray(image))
    assert len(np.unique(expected)) > 1
    assert answer.indices.dtype == np.uint8
    assert np.array_equal(answer.indices, expected)
    assert set(np.flatnonzero(answer.scores)) == set(np.unique(expected))


def test_masks_are_identical_to_those_of_transformers_pipeline(
    ours: SegformerGarmentModel, upstream: tuple[Any, Any]
) -> None:
    network, processor = upstream
    image = photograph(300, 211)
    (answer,) = [ours.classify(image)]
    found: Any = pipeline("image-segmentation", model=network, image_processor=processor)(
        Image.fromarray(image)
    )
    assert len(found) >= 3
    for one in found:
        mask = answer.indices == ours.classes.index(one["label"])
        assert np.array_equal(mask, np.asarray(one["mask"]) > 0)


def test_a_turned_photograph_is_masked_in_the_frame_that_the_labeler_sees(
    ours: SegformerGarmentModel, upstream: tuple[Any, Any], tmp_path: Path
) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photograph(160, 120)).save(file, "PNG", exif=exif)
    expected = ask_upstream(upstream, ImageOps.exif_transpose(Image.open(file)))
    reference = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    images = ImageSource(ImageSettings(image_cache_dir=tmp_path))
    predictor = SegmentationPredictor(
        ours, images, RegionSettings(min_region_fraction=0, score_threshold=0)
    )
    task = Task(id=1, data={"image": reference})
    (answer,) = predictor.predict(
        [task], None, label_config=naming_every_class(ours), deadline=Deadline.after(60)
    )
    regions: Any = answer
    assert {r.value["brushlabels"][0] for r in regions.result} == {
        ours.classes[index] for index in np.unique(expected) if index
    }
    for region in regions.result:
        index = ours.classes.index(region.value["brushlabels"][0])
        mask = decode_rle(region.value["rle"], 120, 160)
        assert np.array_equal(mask, expected == index)


def naming_every_class(model: SegformerGarmentModel) -> LabelConfig:
    labels = "".join(f'<Label value="{name}"/>' for name in model.classes[1:])
    return parse_label_config(
        '<View><Image name="i" value="$image"/>'
        f'<BrushLabels name="b" toName="i">{labels}</BrushLabels></View>'
    )


def test_scores_are_the_mean_probability_where_a_class_is_the_likeliest() -> None:
    chances = torch.tensor([[0.7, 0.1, 0.6], [0.2, 0.8, 0.3], [0.1, 0.1, 0.1]])
    logits = chances.log().reshape(3, 1, 3)
    scores = confidence(logits, decide(logits.numpy(), (1, 3)))
    assert scores.tolist() == pytest.approx([0.65, 0.8, 0.0])


def test_a_class_that_comes_out_between_pixels_has_a_score() -> None:
    logits = torch.tensor([[9.0, -9.0], [-9.0, 9.0], [5.0, 5.0]]).reshape(3, 1, 2)
    indices = decide(logits.numpy(), (10, 20))
    assert set(indices.flatten().tolist()) == {0, 1, 2}
    assert confidence(logits, indices)[2] > 0


def test_bfloat16_changes_few_pixels(
    weights: Checkpoint, models_dir: Path, ours: SegformerGarmentModel
) -> None:
    fast = SegformerGarmentModel.load(weights, models_dir, "cpu", torch.bfloat16)
    image = photograph(400, 300)
    (exact,), (quick,) = [ours.classify(image)], [fast.classify(image)]
    assert (exact.indices == quick.indices).mean() > 0.9
    assert not np.array_equal(exact.scores, quick.scores)


def test_the_runway_labels_get_the_classes_that_are_garments(ours: SegformerGarmentModel) -> None:
    labels = parse_label_config(TEMPLATE.read_text()).mask_labels()
    found = match_labels(ours.classes, labels, SYNONYMS)
    assert {ours.classes[index]: label for index, label in found.items()} == {
        "Hat": "hat",
        "Sunglasses": "other accessories",
        "Upper-clothes": "other tops",
        "Skirt": "skirt",
        "Pants": "pants",
        "Dress": "dress",
        "Belt": "bag-belt",
        "Left-shoe": "footwear",
        "Right-shoe": "footwear",
        "Bag": "bag-belt",
        "Scarf": "scarf-gloves",
    }


def test_upper_clothes_go_to_the_label_whose_predicted_values_name_them(
    ours: SegformerGarmentModel,
) -> None:
    upper = ours.classes.index("Upper-clothes")
    labels = [Label("other tops"), Label("jacket", ("upper-clothes",))]
    assert match_labels(ours.classes, labels, SYNONYMS)[upper] == "jacket"
    assert match_labels(ours.classes, labels[:1], SYNONYMS)[upper] == "other tops"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "preprocessor_config.json"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    weights = tiny_segformer.save(tmp_path)
    path = tmp_path / weights.name / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=rf"{name} is damaged or another file"):
        SegformerGarmentModel.load(weights, tmp_path, "cpu")


def test_the_files_beside_the_weights_are_read_as_they_are_published() -> None:
    known = {file.path.rpartition("/")[2]: file for file in SEGMENTATION_WEIGHTS[0].files}
    for name, data in tiny_segformer.published().items():
        assert hashlib.sha256(data).hexdigest() == known[name].sha256
        assert len(data) == known[name].size
