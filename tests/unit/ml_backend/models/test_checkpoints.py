import hashlib
import re
from pathlib import Path

import pytest

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import CHECKPOINTS, Checkpoint, CheckpointFile
from sam_backend.settings import SamSettings
from segmentation_backend.settings import SegmentationSettings

DATA = {"config.json": b"{}", "model.safetensors": b"weights" * 1000}


@pytest.fixture
def weights(tmp_path: Path) -> Checkpoint:
    """A model of two files, both there."""
    (tmp_path / "toy").mkdir()
    files = []
    for name, data in DATA.items():
        (tmp_path / "toy" / name).write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        files.append(CheckpointFile("toy", f"toy/{name}", len(data), sha256, f"https://x/{name}"))
    return Checkpoint("toy", "SAM_MODEL", "Apache-2.0", tuple(files))


def test_right_files_pass_and_their_folder_is_given(weights: Checkpoint, tmp_path: Path) -> None:
    assert weights.missing(tmp_path) == ()
    assert weights.check(tmp_path) == tmp_path / "toy"
    assert weights.size == sum(map(len, DATA.values()))
    assert weights.version == f"toy-{hashlib.sha256(DATA['model.safetensors']).hexdigest()[:8]}"


@pytest.mark.parametrize("name", DATA)
def test_one_flipped_bit_is_found(weights: Checkpoint, tmp_path: Path, name: str) -> None:
    data = bytearray(DATA[name])
    data[-1] ^= 1
    (tmp_path / "toy" / name).write_bytes(data)
    with pytest.raises(ModelError, match=f"{name} is damaged or another file: its sha256 is"):
        weights.check(tmp_path)


def test_half_a_file_is_named_with_both_sizes(weights: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "toy" / "model.safetensors").write_bytes(b"weights" * 500)
    with pytest.raises(ModelError, match="it has 3,500 bytes, not 7,000"):
        weights.check(tmp_path)


def test_a_missing_file_is_named_with_command_place_hash_and_source(
    weights: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "toy" / "model.safetensors"
    path.unlink()
    assert weights.missing(tmp_path) == weights.files[1:]
    with pytest.raises(ModelError) as error:
        weights.check(tmp_path)
    assert str(path) in error.value.message
    for part in ("segstudio models pull toy", str(path.parent), weights.files[1].sha256, "https:"):
        assert part in error.value.hint


@pytest.mark.parametrize("known", CHECKPOINTS, ids=lambda known: known.name)
def test_every_known_model_is_a_setting_and_pinned_to_the_byte(known: Checkpoint) -> None:
    if known.setting == "SAM_MODEL":
        assert SamSettings.model_validate({"sam_model": known.name})
    else:
        assert SegmentationSettings.model_validate({"segmentation_model": known.name})
    for file in known.files:
        assert file.model == known.name
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0
        assert file.url.startswith("https://")
        assert "/main/" not in file.url
        assert Path(file.url).name == Path(file.path).name


def test_no_two_files_claim_the_same_place() -> None:
    places = [file.path for known in CHECKPOINTS for file in known.files]
    assert len(places) == len(set(places))
