"""Segment Anything 1: its checkpoints, read safely and as they are published."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from segment_anything.modeling import Sam  # type: ignore[import-untyped]

from ml_backend.errors import ModelError
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.lru import LruCache
from ml_backend.models.checkpoints import SAM_WEIGHTS, Checkpoint
from sam_backend.crops import crop_for
from sam_backend.models.base import Box, Prompts
from sam_backend.models.segment_anything import SegmentAnything
from sam_backend.predictor import SamPredictor
from tests.support import tiny_sam
from tests.support.sam_calls import body, box, make_app, mask_of
from tests.support.sam_upstream import (
    assert_equal,
    photograph,
)
from tests.support.scenes import data_uri


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def weights(folder: Path) -> Checkpoint:
    return tiny_sam.save(folder)


@pytest.fixture(scope="module")
def ours(weights: Checkpoint, folder: Path) -> SegmentAnything:
    return SegmentAnything.load(weights, folder, "cpu", torch.float32)


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


def test_a_small_box_in_a_large_picture_is_answered_from_the_part_around_it(
    ours: SegmentAnything, tmp_path: Path
) -> None:
    height, width = 600, 800
    image, small = photograph(height, width), Box(400, 300, 424, 318)
    crop = crop_for(Prompts(small), height, width, ours.input_side)
    assert crop is not None
    assert crop.right - crop.left == crop.bottom - crop.top == tiny_sam.SIDE
    part = ours.embed(crop.cut(image)).to_float16()
    expected = crop.paste(ours.segment(part, crop.place(Prompts(small))), height, width).pixels
    assert expected.any()

    images = ImageSource(ImageSettings(image_cache_dir=tmp_path))
    client = make_app(SamPredictor(ours, images, LruCache(1 << 24))).test_client()
    percent = box(400 / 8, 300 / 6, 24 / 8, 18 / 6)
    answer = client.post("/predict", json=body(data_uri(image), percent))
    (region,) = answer.json["results"][0]["result"]  # type: ignore[index]
    assert (mask_of(region) == expected).all()
