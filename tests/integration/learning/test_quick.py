"""From annotated pictures to a model that finds what no shipped model knows."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from ml_backend.errors import ImageDecodeError, ModelError
from segmentation_backend.learning.example import Example, LearningSet, Pixels
from segmentation_backend.learning.feature_cache import FeatureCache
from segmentation_backend.learning.features import Features
from segmentation_backend.learning.gate import is_held_out
from segmentation_backend.learning.learned_model import LearnedModel, shared_extractor
from segmentation_backend.learning.outcome import LearningError
from segmentation_backend.learning.quick import Learned, learn_quick
from segmentation_backend.models.base import Instance, Mask
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from tests.support.drawn_labels import LABELS, draw_things, drawn_example, drawn_set

SHADES = (50, 150, 250)


class Watcher:
    def __init__(self) -> None:
        self.steps: list[str] = []
        self.dropped: dict[str, str] = {}

    def step(self, text: str, done: int, total: int) -> None:
        self.steps.append(f"{text} {done}/{total}")

    def drop(self, identity: str, reason: str) -> None:
        self.dropped[identity] = reason


@pytest.fixture(scope="module")
def base() -> EmbeddedGarmentModel:
    return EmbeddedGarmentModel.load()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def learned(base: EmbeddedGarmentModel, cache: Path) -> Learned:
    return learn_quick(drawn_set(30), base, cache, Watcher())


def overlap(mask: Pixels, found: Sequence[Instance], label: int) -> float:
    true, region = mask == label, np.zeros(mask.shape, bool)
    for each in found:
        region |= each.mask & (each.class_index == label)
    return float((true & region).sum() / (true | region).sum())


def broken() -> tuple[Pixels, Pixels]:
    raise ImageDecodeError("not an image")


def test_it_finds_new_labels_on_a_picture_it_never_saw(learned: Learned) -> None:
    image, mask = draw_things(1001)
    (found,) = learned.model.segment([image])
    assert learned.model.classes == LABELS
    assert [each.size for each in found] == [mask.shape, mask.shape]
    assert overlap(mask, found, 1) > 0.7
    assert overlap(mask, found, 2) > 0.7


def test_the_first_model_is_promoted_with_figures_of_images_held_out(learned: Learned) -> None:
    held_out = sum(is_held_out(each.identity) for each in drawn_set(30).examples)
    assert learned.promoted
    assert "mean IoU rises from 0.000" in learned.reason
    assert learned.figures.held_out == held_out
    assert learned.figures.learned_from == 30 - held_out
    assert not learned.figures.cross_validated
    ball, crate = learned.figures.labels
    assert (ball.label, ball.images, crate.images) == ("ball", 30, 20)
    assert ball.old == 0
    assert ball.new is not None
    assert ball.new > 0.7


class Reader:
    """Reads text: knows every picture, or finds nothing at all."""

    version = "reader"

    def __init__(self, *, knows: bool, phrases: Mapping[str, tuple[str, ...]] | None = None):
        self._knows = knows
        self._phrases = phrases or {}
        self._masks = {image.tobytes(): mask for image, mask in map(draw_things, range(30))}

    @property
    def classes(self) -> tuple[str, ...]:
        return ("background", *self._phrases) if self._phrases else ()

    def for_phrases(self, phrases: Mapping[str, tuple[str, ...]]) -> "Reader":
        return Reader(knows=self._knows, phrases=phrases)

    def presence(self, image: Pixels, phrases: Sequence[str]) -> dict[str, float]:
        return dict.fromkeys(phrases, 0.0)

    def segment(self, images: Sequence[Pixels]) -> list[list[Instance]]:
        return [list(self._find(image)) for image in images]

    def _find(self, image: Pixels) -> Iterator[Instance]:
        mask = self._masks[image.tobytes()]
        for number, label in enumerate(self._phrases, start=1):
            shown = mask == LABELS.index(label)
            if self._knows and shown.any():
                yield Instance.of(shown, number, 0.9)


@pytest.mark.parametrize("knows", [True, False])
def test_a_model_that_reads_text_serves_unless_the_learned_one_is_better(
    cache: Path, knows: bool
) -> None:
    reader = Reader(knows=knows).for_phrases({label: (label,) for label in LABELS[1:]})
    found = learn_quick(drawn_set(30), reader, cache, Watcher())
    assert found.promoted is not knows
    assert isinstance(found.model, LearnedModel)
    assert found.model.recipe.shipped == {}
    assert [each.old for each in found.figures.labels] == [1.0 * knows, 1.0 * knows]


def test_few_images_are_cross_validated_and_all_learned_from(
    base: EmbeddedGarmentModel, cache: Path
) -> None:
    figures = learn_quick(drawn_set(8), base, cache, Watcher()).figures
    assert (figures.learned_from, figures.held_out, figures.cross_validated) == (8, 8, True)


def test_learning_again_from_the_same_images_changes_nothing(learned: Learned, cache: Path) -> None:
    again = learn_quick(drawn_set(30), learned.model, cache, Watcher())
    assert again.model.version == learned.model.version
    assert not again.promoted
    assert "would not rise" in again.reason


def test_a_model_of_few_images_gets_no_credit_for_those_it_saw(
    base: EmbeddedGarmentModel, cache: Path
) -> None:
    first = learn_quick(drawn_set(8), base, cache, Watcher()).model
    assert isinstance(first, LearnedModel)
    assert len(first.recipe.learned_from) == 8
    second = learn_quick(drawn_set(30), first, cache, Watcher())
    assert isinstance(second.model, LearnedModel)
    assert second.model.recipe.learned_from == ()
    assert second.figures.old is not None
    assert 0 < second.figures.old < 1


def test_a_saved_model_answers_the_same(
    learned: Learned, base: EmbeddedGarmentModel, tmp_path: Path
) -> None:
    learned.model.save(tmp_path / "model.safetensors")
    loaded = LearnedModel.load(tmp_path / "model.safetensors", base)
    image, _ = draw_things(1002)
    (before,), (after,) = learned.model.segment([image]), loaded.segment([image])
    assert loaded.version == learned.model.version
    assert [each.score for each in before] == [each.score for each in after]
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("content", [b"", b"pickle"])
def test_a_damaged_model_is_refused(
    content: bytes, base: EmbeddedGarmentModel, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        LearnedModel.load(path, base)


def test_scores_fall_where_nothing_is_certain(learned: Learned) -> None:
    plain = [draw_things(seed) for seed in range(1010, 1020)]
    noise = np.random.default_rng(0).normal(0, 70, plain[0][0].shape)
    noisy = [np.clip(image + noise, 0, 255).astype(np.uint8) for image, _ in plain]

    def certainty(images: Sequence[Pixels]) -> float:
        found = learned.model.segment(images)
        return float(np.mean([each.score for instances in found for each in instances]))

    assert certainty([image for image, _ in plain]) > certainty(noisy)


def test_broken_images_cost_a_line_each(base: EmbeddedGarmentModel, cache: Path) -> None:
    good = drawn_set(8)
    bad = Example("f" * 64, ("ann",), ("ball",), broken)
    watcher = Watcher()
    result = learn_quick(replace(good, examples=[bad, *good.examples]), base, cache, watcher)
    assert result.figures.learned_from == 8
    assert watcher.dropped == {"f" * 64: "not an image"}


def test_too_few_images_are_refused(base: EmbeddedGarmentModel, cache: Path) -> None:
    with pytest.raises(LearningError, match="3 annotated images"):
        learn_quick(drawn_set(3), base, cache, Watcher())


class Seer:
    """A shipped model that sees the crates of pictures, and calls them pants.

    Args:
        truth: Crates in a picture, by the picture's bytes.
    """

    version = "seer-1"
    classes = ("background", "pants")

    def __init__(self, truth: Mapping[bytes, Mask]) -> None:
        self._truth = truth

    def segment(self, images: Sequence[Pixels]) -> list[list[Instance]]:
        masks = [self._truth[image.tobytes()] for image in images]
        return [[Instance.of(mask, 1, 0.9)] if mask.any() else [] for mask in masks]


def test_a_label_that_the_shipped_model_finds_better_stays_with_it(
    base: EmbeddedGarmentModel, cache: Path
) -> None:
    """The crates are called trousers, and a model that knows pants draws them right."""
    truth = {image.tobytes(): mask == 2 for image, mask in map(draw_things, range(40))}
    examples = [
        replace(each, labels=tuple("trousers" if n == "crate" else n for n in each.labels))
        for each in map(drawn_example, range(30))
    ]
    data = LearningSet(("background", "ball", "trousers"), examples)
    result = learn_quick(data, Seer(truth), cache, Watcher())
    assert [row.source for row in result.figures.labels] == ["learned", "shipped"]
    image, mask = draw_things(37)
    (found,) = result.model.segment([image])
    regions = {each.class_index: each.mask for each in found}
    assert np.array_equal(regions[2], (mask == 2) & ~regions[1])  # the head's ball keeps its pixels
    assert overlap(mask, found, 2) > 0.99
    assert [each.score for each in found if each.class_index == 2] == [0.9]


def arbitrarily_named(seed: int) -> Example:
    """An annotated picture; one crate in seven is called jeans, the others trousers."""
    image, mask = draw_things(seed)
    if seed % 7 == 1:
        mask = np.where(mask == 2, 3, mask).astype(np.uint8)
    labels = tuple(
        ("ball", "trousers", "jeans")[number - 1] for number in np.unique(mask) if number
    )
    return replace(drawn_example(seed), labels=labels, load=lambda: (image, mask))


def test_a_good_label_is_not_lost_to_one_that_looks_the_same(
    base: EmbeddedGarmentModel, cache: Path
) -> None:
    """The head takes some trousers for jeans, so that the verdict would be against it."""
    truth = {image.tobytes(): mask == 2 for image, mask in map(draw_things, range(40))}
    names = ("background", "ball", "trousers", "jeans")
    data = LearningSet(names, list(map(arbitrarily_named, range(40))))
    result = learn_quick(data, Seer(truth), cache, Watcher())
    assert result.promoted
    ball, trousers, _ = result.figures.labels
    assert [ball.source, trousers.source] == ["learned", "shipped"]
    assert trousers.old is not None
    assert trousers.old > 0.5
    assert trousers.new == trousers.old


@pytest.mark.parametrize("whole", [False, True])
def test_the_shipped_model_takes_no_pixels_from_other_labels_unless_it_has_to(
    learned: Learned, tmp_path: Path, whole: bool
) -> None:
    """It takes the whole picture for a crate, of which the head finds the ball."""
    image, _ = draw_things(1003)
    everything = np.ones(image.shape[:2], bool)
    assert isinstance(learned.model, LearnedModel)
    left = learned.model.with_recipe(
        shipped={"crate": ("pants",)}, whole=("crate",) if whole else ()
    )
    left.save(tmp_path / "model.safetensors")
    seer = Seer({image.tobytes(): everything})
    (found,) = LearnedModel.load(tmp_path / "model.safetensors", seer).segment([image])
    masks = {each.class_index: each.mask for each in found}
    (alone,) = learned.model.segment([image])
    (ball,) = (each.mask for each in alone if each.class_index == 1)
    assert ball.sum() > 1000
    assert np.array_equal(masks.get(1, ~everything), ~everything if whole else ball)
    assert np.array_equal(masks[2], everything if whole else ~ball)


def test_a_model_that_looks_at_other_features_is_still_compared(
    base: EmbeddedGarmentModel, cache: Path
) -> None:
    """The crates were called trousers, of which the shipped network has features, and no more."""
    named = LearningSet(("background", "ball", "trousers"), drawn_set(30).examples)
    first = learn_quick(named, base, cache, Watcher()).model
    assert isinstance(first, LearnedModel)
    assert first.recipe.garments
    second = learn_quick(drawn_set(30), first, cache, Watcher())
    assert isinstance(second.model, LearnedModel)
    assert not second.model.recipe.garments
    ball, crate = second.figures.labels
    assert ball.old is not None
    assert ball.old > 0.5
    assert crate.old == 0


def flat(shade: int) -> tuple[Pixels, Pixels]:
    return np.full((4, 4, 3), SHADES[shade], np.uint8), np.full((4, 4), shade, np.uint8)


def annotated(number: int) -> Example:
    """Return an annotated image of one of three shades; the same one for the same number."""
    shade = number % 3
    identity = hashlib.sha256(str(number).encode()).hexdigest()
    return Example(identity, ("ann",), LABELS[shade : shade + 1], partial(flat, shade))


def keep_features(number: int, folder: Path) -> None:
    """Keep features of the first images: one place of their shade is enough."""
    extractor = shared_extractor("cpu")
    levels = (extractor.extract(flat(shade)[0]).levels for shade in range(3))
    shades = [Features(tuple(level[:, :1, :1].copy() for level in each)) for each in levels]
    kept = FeatureCache(folder, extractor.version)
    for each in range(number):
        kept.get(annotated(each).identity, partial(shades.__getitem__, each % 3))


def learning_peak(number: int, folder: Path) -> float:
    """Learn from the first images; return this process's highest resident size in megabytes."""
    data = LearningSet(LABELS, [annotated(each) for each in range(number)])
    learn_quick(data, EmbeddedGarmentModel.load(), folder, Watcher())
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def test_memory_does_not_grow_with_the_number_of_annotated_images(tmp_path: Path) -> None:
    """Of images whose features are kept already: to make them takes the time, not the memory.

    In processes of their own, as in the learner: what the other tests leave in the heap of this one
    moves its size by tens of megabytes.
    """
    keep_features(10_000, tmp_path)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        few, many = processes.map(learning_peak, (1_250, 10_000), repeat(tmp_path))
    assert many < few + 30
