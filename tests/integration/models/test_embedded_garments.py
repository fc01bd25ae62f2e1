"""The garment network that ships: what a labeler finds on the photographs of a task."""

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ml_backend.errors import ModelError
from segmentation_backend.models.base import SegmentationModel
from segmentation_backend.models.embedded import WEIGHTS, EmbeddedGarmentModel
from synthetic.people import Figure, draw_figure

LABELS = {
    *("jacket", "coat", "shirt", "blouse", "other tops", "jersey shirt", "dress", "jumpsuit"),
    *("skirt", "pants", "knitwear", "tailleur", "swimwear", "footwear", "scarf-gloves"),
    *("other accessories", "jewelry", "hat", "bag-belt"),
}


@pytest.fixture(scope="module")
def model() -> EmbeddedGarmentModel:
    return EmbeddedGarmentModel.load()


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return [draw_figure(9000 + seed) for seed in range(16)]


def test_it_serves_the_model_protocol(model: EmbeddedGarmentModel) -> None:
    served: SegmentationModel = model
    assert served.classes[0] == "background"
    assert set(served.classes) == LABELS | {"background", "hair", "skin"}
    assert served.version.startswith("embedded-2-")
    assert EmbeddedGarmentModel.load().version == served.version


def test_the_weights_are_small_enough_to_ship() -> None:
    assert WEIGHTS.stat().st_size < 12_000_000


def overlap(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))


def test_the_clothes_of_drawn_people_are_found(
    model: EmbeddedGarmentModel, figures: list[Figure]
) -> None:
    body = [model.classes.index(name) for name in ("background", "hair", "skin")]
    found = [~np.isin(model.classify([figure.image])[0].indices, body) for figure in figures]
    worn = [np.logical_or.reduce(list(figure.masks.values())) for figure in figures]
    assert np.mean([overlap(*pair) for pair in zip(found, worn, strict=True)]) > 0.8


def test_the_features_for_other_heads_are_those_of_the_answer(
    model: EmbeddedGarmentModel, figures: list[Figure]
) -> None:
    image = figures[0].image
    chances = model.chances([image])[0]
    decoded, answer = (level[0].float().numpy() for level in model.features(image))
    assert decoded.shape == (model.width, *answer.shape[1:])
    blocks = chances.reshape(len(chances), answer.shape[1], 4, answer.shape[2], 4)
    assert np.exp(answer) == pytest.approx(blocks.mean((2, 4)).clip(1e-3), rel=1e-3)


def test_garments_of_drawn_people_are_named(
    model: EmbeddedGarmentModel, figures: list[Figure]
) -> None:
    found: dict[str, list[float]] = {}
    for figure in figures:
        indices = model.classify([figure.image])[0].indices
        for name, truth in figure.masks.items():
            found.setdefault(name, []).append(overlap(truth, indices == model.classes.index(name)))
    means = {name: np.mean(ious) for name, ious in found.items()}
    assert len(means) >= 8
    assert np.mean(list(means.values())) > 0.5


def test_a_score_tells_how_much_of_a_region_is_right(
    model: EmbeddedGarmentModel, figures: list[Figure]
) -> None:
    right: list[float] = []
    wrong: list[float] = []
    for figure in figures:
        answer = model.classify([figure.image])[0]
        present = np.bincount(answer.indices.ravel(), minlength=len(model.classes)) > 0
        assert ((answer.scores > 0) <= present).all()
        assert answer.scores.max() <= 1
        for number in np.flatnonzero(present):
            truth = figure.masks.get(model.classes[number])
            iou = 0 if truth is None else overlap(truth, answer.indices == number)
            if model.classes[number] in LABELS:
                (right if iou > 0.6 else wrong).append(answer.scores[number])
    assert np.mean(right) > 2 * np.mean(wrong)


def test_scores_are_calibrated(
    model: EmbeddedGarmentModel, figures: list[Figure], tmp_path: Path
) -> None:
    with safe_open(WEIGHTS, "pt") as file:
        metadata = file.metadata()
    slope, offset = json.loads(metadata["calibration"])
    plain = tmp_path / "plain.safetensors"
    save_file(load_file(WEIGHTS), plain, {**metadata, "calibration": "[1, 0]"})
    shown, raw = (
        m.classify([figures[0].image])[0].scores for m in (model, EmbeddedGarmentModel.load(plain))
    )
    present = raw > 0
    expected = slope * np.log(raw[present] / (1 - raw[present])) + offset
    assert shown[present] == pytest.approx(1 / (1 + np.exp(-expected)), abs=1e-4)
    assert np.abs(shown - raw)[present].max() > 0.05


def test_a_plain_wall_wears_nothing(model: EmbeddedGarmentModel) -> None:
    wall = np.full((400, 300, 3), 128, np.uint8)
    indices = model.classify([wall])[0].indices
    assert (indices >= model.classes.index("jacket")).mean() < 0.02


def test_edges_are_smooth_at_full_size(model: EmbeddedGarmentModel) -> None:
    """A staircase of blocks would hold still for several rows and then jump."""
    small = draw_figure(9000, 1000, 667).image
    image = cv2.resize(small, (2000, 3000), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    garments = model.classify([image])[0].indices >= model.classes.index("jacket")
    edges = np.argmax(garments, axis=1)[garments.any(1)]
    steps = np.abs(np.diff(edges))
    assert np.median(steps[steps > 0]) <= 4


def test_missing_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="reinstall") as caught:
        EmbeddedGarmentModel.load(tmp_path / "none.safetensors")
    assert "none.safetensors" in caught.value.message


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(WEIGHTS.read_bytes()[:100_000])
    with pytest.raises(ModelError, match="cannot be read"):
        EmbeddedGarmentModel.load(damaged)


def test_weights_that_do_not_name_their_classes_are_refused(tmp_path: Path) -> None:
    nameless = tmp_path / "nameless.safetensors"
    save_file(load_file(WEIGHTS), nameless)
    with pytest.raises(ModelError, match="how to use them"):
        EmbeddedGarmentModel.load(nameless)
