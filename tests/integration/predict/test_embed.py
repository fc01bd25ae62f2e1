"""Embeddings that are made beforehand go where the sam backend looks for them."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from segstudio.local.connection import settings_of_its_backends
from segstudio.local.services import joined_to
from segstudio.local.state import read_state
from segstudio.predict.stages import backend_settings, sam_settings
from segstudio.settings import ProjectSettings, UpSettings


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What ``make up`` gave its backends in this folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".segstudio").mkdir()
    state = read_state(tmp_path / ".segstudio")
    return joined_to(UpSettings(), tmp_path / ".segstudio", state)


def test_models_of_a_run_have_the_processors_whatever_number_of_workers_serves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [settings().compute_threads for settings in (backend_settings, sam_settings)]
    monkeypatch.setenv("WORKERS", "4")
    assert [s().compute_threads for s in (backend_settings, sam_settings)] == before


def folder(settings: ProjectSettings) -> Path:
    return sam_settings(**settings_of_its_backends(settings)).embedding_folder


def test_it_is_the_folder_of_make_up_where_its_label_studio_is_worked_on(
    up: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = folder(ProjectSettings())
    monkeypatch.setenv("IMAGE_CACHE_DIR", up["IMAGE_CACHE_DIR"])
    assert here == sam_settings().embedding_folder


def test_beside_another_label_studio_it_is_what_the_environment_says(
    up: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMAGE_CACHE_DIR", str(tmp_path / "theirs"))
    key = SecretStr("f" * 40)
    other = ProjectSettings(label_studio_url="http://ls.example", label_studio_api_key=key)
    assert folder(other) == tmp_path / "theirs" / "embeddings"
