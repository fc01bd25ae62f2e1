from pathlib import Path

import pytest
from segment_anything import sam_model_registry  # type: ignore[import-untyped]
from structlog.testing import capture_logs

from ml_backend.errors import ModelError
from ml_backend.models.checkpoints import SAM_WEIGHTS, Checkpoint
from sam_backend.models import registry
from sam_backend.models.registry import load_model
from sam_backend.settings import SamSettings
from tests.support import tiny_sam


def settings(models_dir: Path, **changes: object) -> SamSettings:
    return SamSettings.model_validate({"models_dir": models_dir, "device": "cpu"} | changes)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published names, with small networks: vit_l and vit_b are there."""
    weights = tuple(tiny_sam.save(tmp_path, name=published.name) for published in SAM_WEIGHTS)
    for each in weights:
        monkeypatch.setitem(sam_model_registry, each.name, tiny_sam.build)
    monkeypatch.setattr(registry, "SAM_WEIGHTS", weights)
    (tmp_path / "vit_h.pth").unlink()
    return tmp_path


def test_auto_is_the_embedded_model_where_there_are_no_other_weights(tmp_path: Path) -> None:
    assert load_model(settings(tmp_path)).version.startswith("embedded-")


def test_auto_is_the_best_model_whose_weights_are_there(small: Path) -> None:
    with capture_logs() as logs:
        model = load_model(settings(small))
    assert model.version.startswith("sam-vit_l-")
    (line,) = logs
    assert (line["asked"], line["model_version"]) == ("auto", model.version)


def test_a_named_model_is_that_model_whatever_else_is_there(small: Path) -> None:
    named = {
        name: load_model(settings(small, sam_model=name)).version for name in ("vit_b", "embedded")
    }
    assert named["vit_b"].startswith("sam-vit_b-")
    assert named["embedded"].startswith("embedded-")


def test_damaged_weights_are_an_error_and_no_lesser_model_takes_their_place(
    small: Path,
) -> None:
    (small / "vit_h.pth").write_bytes(b"half a download")
    with pytest.raises(ModelError, match=r"vit_h\.pth is damaged"):
        load_model(settings(small))


@pytest.mark.parametrize("weights", SAM_WEIGHTS, ids=lambda weights: weights.name)
def test_published_names_are_those_that_the_settings_take(weights: Checkpoint) -> None:
    assert SamSettings(sam_model=weights.name).sam_model == weights.name
    assert weights.name in sam_model_registry


def test_the_embedded_model_serves_where_the_named_one_cannot_be_had_and_that_is_allowed(
    tmp_path: Path,
) -> None:
    (tmp_path / "models").touch()  # a file, so nothing can be fetched into it
    here = settings(tmp_path / "models", sam_model="sam2.1_tiny")
    with pytest.raises(ModelError, match="cannot write"):
        load_model(here)
    model = load_model(here.model_copy(update={"model_fallback": True}))
    assert model.version.startswith("embedded-")
