"""The parts of a learned model: places, the head, edges, scores, and features on disk."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from segmentation_backend.learning.calibration import Calibration, calibrate
from segmentation_backend.learning.edges import refine
from segmentation_backend.learning.example import IGNORE, Example
from segmentation_backend.learning.feature_cache import FeatureCache
from segmentation_backend.learning.features import Features
from segmentation_backend.learning.head import LEAN, Samples, fit
from segmentation_backend.learning.presence import adjusted
from segmentation_backend.learning.sampling import (
    MOST_IMAGES,
    PER_REGION,
    TOTAL,
    choose,
    places_per_region,
    sample,
)
from tests.support.drawn_labels import draw_things

RNG = np.random.default_rng(1)


def halves(*shape: int) -> npt.NDArray[np.float16]:
    return RNG.normal(size=shape).astype(np.float16)


def decay(features: int) -> npt.NDArray[np.float32]:
    return np.full(features, 1e-3, np.float32)


def samples(features: npt.NDArray[np.float16], labels: npt.NDArray[np.int64]) -> Samples:
    return Samples(features, labels, np.full(len(labels), 1e-3, np.float32))


def example(number: int, *labels: str) -> Example:
    return Example(f"{number:064x}", (), labels, lambda: draw_things(number))


def test_places_between_cells_mix_their_features() -> None:
    ramp = np.arange(4, dtype=np.float16).reshape(1, 1, 4)
    points = np.array([[1 / 8, 0.5], [0.5, 0.5], [1, 0]], np.float32)
    assert Features((ramp,)).at(points)[:, 0].tolist() == [0, 1.5, 3]


def test_the_head_classifies_a_photograph_as_it_classifies_places() -> None:
    features = Features((halves(3, 8, 12), halves(5, 4, 6), halves(2, 1, 1)))
    labels = RNG.integers(0, 3, 200)
    head = fit(samples(halves(200, 10), labels), 3, decay(10))
    centres = np.array([((x + 0.5) / 12, (y + 0.5) / 8) for y in range(8) for x in range(12)])
    places = features.at(centres.astype(np.float32)).astype(np.float32)
    expected = (places @ head.weights.T + head.bias).T.reshape(3, 8, 12)
    np.testing.assert_allclose(head.logits(features), expected, atol=0.01)


def test_an_undecided_place_is_a_thing_not_the_background() -> None:
    labels = np.repeat([0, 1, 2], [40, 40, 40])
    head = fit(samples(np.ones((120, 2), np.float16), labels), 3, decay(2))
    logits = head.logits(Features((np.ones((2, 1, 1), np.float16),)))[:, 0, 0]
    assert logits[1] == pytest.approx(logits[2], abs=1e-3)
    assert logits[1] - logits[0] == pytest.approx(LEAN, abs=1e-3)


def test_a_head_starts_with_the_answer_of_the_garment_network() -> None:
    """Features that say nothing leave it as it is; one that contradicts it changes it."""
    answer = np.log(np.array([[0.9, 0.05, 0.05], [0.1, 0.2, 0.7]]), dtype=np.float32)
    told = np.repeat([0, 1], 100)
    noise, owners = halves(200, 2), (0, 1, 1)
    columns = np.hstack([noise, answer[told].astype(np.float16)])
    head = fit(samples(columns, told), 2, decay(2) + 10, owners)
    seen = Features((halves(2, 4, 2), answer.T[:, None].astype(np.float16)))
    np.testing.assert_array_equal(head.logits(seen).argmax(0), [[0, 1]] * 4)

    wrong = np.column_stack([1.0 - told, noise[:, 0], answer[1 - told]]).astype(np.float16)
    head = fit(samples(wrong, told), 2, decay(2), owners)
    seen = Features(
        (
            np.array([[[1, 0]], [[0, 0]]], np.float16),
            answer.T[:, None].astype(np.float16)[..., ::-1],
        )
    )
    np.testing.assert_array_equal(head.logits(seen).argmax(0), [[0, 1]])


def test_a_label_that_an_image_shows_is_likelier_all_over_it() -> None:
    shares = np.array([0.5, 0.25, 0.25], np.float32)
    chances = np.full((3, 4, 4), 1 / 3, np.float32)
    chances[:, :3] = [[[0.1]], [[0.8]], [[0.1]]]
    chances[:, 3, 0] = [0.2, 0.38, 0.42]
    found = adjusted(chances, shares)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(found[0], chances[0])  # nothing appears, nothing vanishes
    assert found[:, 3, 0].argmax() == 1


def test_a_label_that_an_image_surely_shows_stays_however_small_it_is() -> None:
    chances = np.zeros((3, 20, 20), np.float32)
    chances[1] = 1
    chances[:, 3, 5] = [0.02, 0.03, 0.95]
    assert adjusted(chances, np.full(3, 1 / 3, np.float32))[:, 3, 5].argmax() == 2


def test_a_head_separates_what_can_be_separated() -> None:
    labels = np.repeat([0, 1, 3], 100)
    features = halves(300, 6) * 0.5
    features[np.arange(300), labels] += 3
    head = fit(samples(features, labels), 5, decay(6))
    logits = features.astype(np.float32) @ head.weights.T + head.bias
    assert (logits.argmax(1) == labels).mean() > 0.99
    assert set(logits[:, [2, 4]].argmax(1)) <= {0, 1}
    assert (logits[:, [2, 4]] < logits[:, [0, 1, 3]].min()).all()  # no sample, never predicted


def test_samples_are_places_of_their_label() -> None:
    _, mask = draw_things(4)
    mask[:20] = IGNORE
    features = Features((mask[None].astype(np.float16),))
    drawn = sample(features, mask, 50, seed=3)
    assert np.bincount(drawn.labels).tolist() == [50, 50, 50]
    assert (drawn.features[:, 0] == drawn.labels).all()
    sizes = [drawn.areas[drawn.labels == label].sum() for label in range(3)]
    np.testing.assert_allclose(sizes, [(mask == label).mean() for label in range(3)], rtol=1e-5)


def test_a_large_project_is_learned_from_within_bounds() -> None:
    many = [example(number, "cup", "hat") for number in range(10_000)]
    rare = [example(20_000 + number, "pin") for number in range(9)]
    chosen = choose(many + rare, MOST_IMAGES)
    assert len(chosen) == MOST_IMAGES
    assert all(each in chosen for each in rare)
    assert places_per_region(chosen) * 3 * MOST_IMAGES <= TOTAL + 3 * MOST_IMAGES
    assert places_per_region(chosen[:10]) == PER_REGION


def test_edges_follow_the_picture() -> None:
    """Cells of a coarse map cross the edge of a thing; the refined map does not."""
    image, mask = draw_things(3)
    truth = (mask > 0).astype(np.float32)
    coarse = truth.reshape(20, 8, 25, 8).mean((1, 3))
    refined = refine(np.stack([1 - coarse, coarse]), image)
    found = refined.argmax(0) == 1
    blocks = np.kron(coarse > 0.5, np.ones((8, 8))) > 0
    assert refined.shape == (2, *mask.shape)
    assert (found != (mask > 0)).sum() < 0.6 * (blocks != (mask > 0)).sum()


def test_specks_are_dropped() -> None:
    chances = np.full((2, 60, 80), 0.1, np.float32)
    chances[0] = 0.9
    chances[:, 10:40, 10:40] = [[[0.1]], [[0.9]]]
    chances[:, 55, 70] = [0.0, 1.0]
    image = np.full((600, 800, 3), 128, np.uint8)
    image[100:400, 100:400] = 20
    found = refine(chances, image).argmax(0) == 1
    assert found[100, 100]
    assert not found[300:, 300:].any()


def test_calibrated_scores_are_near_the_true_ious() -> None:
    scores = RNG.uniform(0.6, 0.99, 300)
    pairs = [(float(score), float(score) - 0.4) for score in scores]
    calibrated = calibrate(pairs).apply(scores.astype(np.float32))
    assert abs(calibrated - (scores - 0.4)).mean() < 0.06
    assert (np.diff(calibrated[np.argsort(scores)]) >= 0).all()


def test_without_regions_scores_stay() -> None:
    scores = np.array([0, 0.3, 0.8], np.float32)
    assert calibrate([]) == Calibration()
    np.testing.assert_allclose(calibrate([]).apply(scores), scores, atol=1e-6)


def test_features_are_extracted_once(tmp_path: Path) -> None:
    features = Features((halves(4, 3, 2), halves(1, 1, 1)))
    FeatureCache(tmp_path / "new", "v1").get("a" * 64, lambda: features)
    again = FeatureCache(tmp_path / "new", "v1").get("a" * 64, pytest.fail)
    for one, other in zip(features.levels, again.levels, strict=True):
        assert np.array_equal(one, other)


def test_features_of_another_extractor_or_damaged_ones_are_made_again(tmp_path: Path) -> None:
    old, new = Features((halves(1, 1, 1),)), Features((halves(2, 1, 1),))
    FeatureCache(tmp_path, "v1").get("a" * 64, lambda: old)
    assert FeatureCache(tmp_path, "v2").get("a" * 64, lambda: new) is new
    for path in tmp_path.iterdir():
        path.write_bytes(b"cut off")
    assert FeatureCache(tmp_path, "v1").get("a" * 64, lambda: new) is new


def test_the_cache_keeps_its_limit_and_what_was_used_last(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "v1", largest=50_000)
    for number in range(40):
        cache.get(f"{number:064x}", lambda: Features((halves(10, 10, 10),)))
    files = list(tmp_path.iterdir())
    assert sum(path.stat().st_size for path in files) <= 50_000
    assert any(path.name.startswith(f"{39:064x}") for path in files)


def test_a_cache_that_cannot_be_written_costs_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    features = Features((halves(1, 1, 1),))
    assert FeatureCache(tmp_path / "file", "v1").get("a" * 64, lambda: features) is features
