"""What Meta's own predictor answers, given the same weights, image and prompts."""

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from segment_anything import SamPredictor  # type: ignore[import-untyped]
from segment_anything.modeling import Sam  # type: ignore[import-untyped]

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import SAM_WEIGHTS, Checkpoint
from sam_backend.models.base import Box, Embedding, Mask, Point, Prompts
from sam_backend.models.segment_anything import SegmentAnything
from tests.support import tiny_sam
from tests.support.sam_calls import mask_of
from tests.support.sam_upstream import (
    PROMPTS,
    TURNED,
    ask_about_a_turned_photograph,
    assert_bfloat16_changes_little,
    assert_equal,
    assert_kept_is_as_good,
    at_size,
    photograph,
)

SIZES = [(96, 128), (128, 96), (333, 77), (41, 41), (500, 777), (7, 3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def weights(folder: Path) -> Checkpoint:
    return tiny_sam.save(folder)


@pytest.fixture(scope="module")
def ours(weights: Checkpoint, folder: Path) -> SegmentAnything:
    return SegmentAnything.load(weights, folder, "cpu", torch.float32)


@pytest.fixture(scope="module")
def upstream(weights: Checkpoint, folder: Path) -> SamPredictor:
    sam = tiny_sam.build().eval()
    sam.load_state_dict(torch.load(folder / weights.files[0].path, weights_only=True))
    return SamPredictor(sam)


def ask_upstream(
    upstream: SamPredictor, prompts: Prompts, previous: Mask | None = None
) -> tuple[Mask, bool]:
    """The best mask of the image that is set, and whether it has both values."""
    box = prompts.box
    masks, scores, logits = upstream.predict(
        point_coords=np.array([(p.x, p.y) for p in prompts.points]) if prompts.points else None,
        point_labels=np.array([p.positive for p in prompts.points]) if prompts.points else None,
        box=np.array([box.left, box.top, box.right, box.bottom]) if box else None,
        mask_input=previous.logits[None] if previous else None,
        multimask_output=box is None and len(prompts.points) == 1,
    )
    best = int(scores.argmax())
    return Mask(masks[best], float(scores[best]), logits[best]), 0 < masks[best].mean() < 1


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_masks_are_identical_to_those_of_the_packages_own_predictor(
    ours: SegmentAnything, upstream: SamPredictor, size: tuple[int, int]
) -> None:
    image = photograph(*size)
    upstream.set_image(image)
    embedding = ours.embed(image)
    telling = 0
    for prompts in PROMPTS.values():
        expected, has_both = ask_upstream(upstream, at_size(prompts, *size))
        assert_equal(ours.segment(embedding, at_size(prompts, *size)), expected)
        telling += has_both
    assert telling >= 2


def test_a_refined_mask_is_identical_when_upstream_gets_its_own_logits_back(
    ours: SegmentAnything, upstream: SamPredictor
) -> None:
    image = photograph(96, 128)
    upstream.set_image(image)
    embedding = ours.embed(image)
    clicks = at_size(PROMPTS["clicks for and against"], 96, 128)
    theirs = mine = None
    for count in range(1, 4):
        step = replace(clicks, points=clicks.points[:count])
        theirs, _ = ask_upstream(upstream, step, theirs)
        mine = ours.segment(embedding, step, mine)
        assert_equal(mine, theirs)
    assert mine
    assert not np.allclose(mine.logits, ours.segment(embedding, clicks).logits, atol=1e-3)


def test_of_the_three_masks_for_one_click_the_best_rated_is_given(
    ours: SegmentAnything, upstream: SamPredictor
) -> None:
    image = photograph(96, 128)
    upstream.set_image(image)
    _, scores, _ = upstream.predict(np.array([(50, 50)]), np.array([1]), multimask_output=True)
    assert len(set(scores)) == 3
    mask = ours.segment(ours.embed(image), Prompts(points=(Point(50, 50),)))
    assert mask.score == pytest.approx(max(scores), abs=1e-4)


def test_a_turned_photograph_is_answered_in_the_frame_that_the_labeler_sees(
    ours: SegmentAnything, upstream: SamPredictor, tmp_path: Path
) -> None:
    seen, region = ask_about_a_turned_photograph(ours, tmp_path)
    upstream.set_image(np.asarray(seen))
    before, _ = ask_upstream(upstream, replace(TURNED, points=()))
    expected, _ = ask_upstream(upstream, TURNED, before)
    assert np.array_equal(mask_of(region), expected.pixels)


def test_an_embedding_can_be_sent_elsewhere_and_is_not_changed_by_clicks(
    ours: SegmentAnything,
) -> None:
    embedding = ours.embed(photograph(96, 128))
    received: Embedding = pickle.loads(pickle.dumps(embedding))
    prompts = Prompts(Box(10, 10, 90, 80))
    assert np.array_equal(
        ours.segment(embedding, prompts).pixels, ours.segment(received, prompts).pixels
    )
    assert np.array_equal(embedding.tensors["features"], received.tensors["features"])
    assert embedding.nbytes == tiny_sam.CHANNELS * np.prod(tiny_sam.GRID) * 4


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)], ids=str)
def test_images_of_extreme_shape_are_answered(ours: SegmentAnything, size: tuple[int, int]) -> None:
    mask = ours.segment(ours.embed(photograph(*size)), Prompts(points=(Point(0.5, 0.5),)))
    assert mask.pixels.shape == size


def test_bfloat16_changes_little(weights: Checkpoint, folder: Path, ours: SegmentAnything) -> None:
    fast = SegmentAnything.load(weights, folder, "cpu", torch.bfloat16)
    assert_bfloat16_changes_little(ours, fast)


def test_a_checkpoint_is_mapped_while_the_network_copies_it_and_not_read_into_memory(
    weights: Checkpoint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_mapped() -> bool:
        return str(folder / weights.files[0].path) in Path("/proc/self/maps").read_text()

    seen: list[bool] = []
    copy = Sam.load_state_dict

    def watched(sam: Sam, tensors: Mapping[str, torch.Tensor]) -> object:
        seen.append(is_mapped())
        return copy(sam, tensors)

    monkeypatch.setattr(Sam, "load_state_dict", watched)
    loaded = SegmentAnything.load(weights, folder, "cpu")
    assert seen == [True]
    assert not is_mapped(), "the file may be replaced while it serves"
    assert loaded.device == "cpu"


def test_a_checkpoint_in_the_format_of_older_versions_of_torch_is_read(
    weights: Checkpoint, folder: Path, ours: SegmentAnything, tmp_path: Path
) -> None:
    tensors = torch.load(folder / weights.files[0].path, weights_only=True)
    torch.save(tensors, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    old = SegmentAnything.load(
        tiny_sam.known("tiny", tmp_path / "old.pth"), tmp_path, "cpu", torch.float32
    )
    image, prompts = photograph(96, 128), Prompts(Box(10, 10, 90, 80))
    assert_equal(old.segment(old.embed(image), prompts), ours.segment(ours.embed(image), prompts))


def test_the_version_tells_architecture_and_weights(folder: Path, ours: SegmentAnything) -> None:
    other = tiny_sam.save(folder.parent, seed=1)
    assert ours.version.startswith("sam-tiny-")
    assert SegmentAnything.load(other, folder.parent, "cpu").version != ours.version


def test_a_missing_file_is_named_with_its_place_and_hash(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        SegmentAnything.load(SAM_WEIGHTS[-1], tmp_path, "cpu")
    assert str(tmp_path / "sam_vit_b_01ec64.pth") in error.value.message
    assert "place sam_vit_b_01ec64.pth (sha256 ec2df62732614e57" in error.value.hint


@pytest.mark.parametrize("damage", ["truncated", "one bit"])
def test_a_damaged_file_is_refused(folder: Path, tmp_path: Path, damage: str) -> None:
    weights = tiny_sam.save(tmp_path)
    path = tmp_path / weights.files[0].path
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        del data[-100:]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"tiny.pth is damaged or another file"):
        SegmentAnything.load(weights, tmp_path, "cpu")


def test_code_in_a_file_is_not_run_even_where_the_hash_is_right(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "trap.pth"
    torch.save({"weights": Trap()}, path)
    with pytest.raises(pickle.UnpicklingError):
        SegmentAnything.load(tiny_sam.known("tiny", path), tmp_path, "cpu")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("size", SIZES[:3], ids=str)
def test_an_embedding_as_it_is_kept_gives_the_same_masks(
    ours: SegmentAnything, size: tuple[int, int]
) -> None:
    assert_kept_is_as_good(ours, *size)
