"""What docker-compose.yml runs once on each start; tests/containers has it in containers."""

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml_backend.errors import SettingsError
from ml_backend.labelstudio.client import LabelStudio
from ml_backend.models import catalog, downloads
from ml_backend.models.checkpoints import CHECKPOINTS
from ml_backend.serving.settings import BackendSettings, read_settings
from segstudio.cli.main import app
from segstudio.compose.bootstrap import bootstrap
from segstudio.compose.make_secrets import PASSWORD, TOKEN, make_secrets
from segstudio.compose.weights import pull_named
from segstudio.errors import ProcessError
from segstudio.labelstudio.ml_backends import BackendPair
from segstudio.settings import PullSettings
from tests.support.label_studio_server import LabelStudioServer
from tests.support.processes import free_port


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_secrets_are_made_once_and_differ_from_stack_to_stack(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        assert len(make_secrets(folder)) == 3
    before = contents(first)
    assert make_secrets(first) == []
    assert contents(first) == before
    assert set(before) == set(contents(second))
    assert not set(before.values()) & set(contents(second).values())
    assert min(map(len, before.values())) >= 16


def test_a_secret_that_is_lost_is_made_anew_and_the_others_stay(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    before = contents(tmp_path)
    (tmp_path / PASSWORD).unlink()
    assert make_secrets(tmp_path) == [PASSWORD]
    assert contents(tmp_path)[TOKEN] == before[TOKEN]


def test_only_their_user_and_group_may_read_secrets(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o640}


def test_a_backend_reads_its_token_from_the_folder_of_secrets_unless_a_variable_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_secrets(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "")
    assert key() == (tmp_path / TOKEN).read_text().strip()
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "mine")
    assert key() == "mine"


def test_the_folder_of_secrets_may_be_named_in_the_file_of_variables_and_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_secrets(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"SECRETS_DIR={tmp_path}")
    assert key() == (tmp_path / TOKEN).read_text().strip()
    monkeypatch.setenv("SECRETS_DIR", "no/such/folder")
    with pytest.raises(SettingsError, match="no/such/folder"):
        key()


def key() -> str:
    found = read_settings(BackendSettings).label_studio_api_key
    return found.get_secret_value() if found else ""


def test_weights_that_cannot_be_had_are_told_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (known,) = (each for each in CHECKPOINTS if each.name == "vit_b")
    gone = replace(known.files[0], url=f"http://127.0.0.1:{free_port()}/gone")
    monkeypatch.setattr(catalog, "CHECKPOINTS", (replace(known, files=(gone,)),))
    monkeypatch.setattr(downloads, "PAUSES", (0.01,))
    told: list[str] = []
    pull_named({"vit_b", "auto"}, tmp_path, told.append, PullSettings())
    assert told[-1].startswith("vit_b is not available, the embedded network serves instead")
    assert gone.sha256 in told[-1], "how to place it by hand"


def test_weights_of_the_image_are_linked_where_the_volume_lacks_them(tmp_path: Path) -> None:
    old, image, volume = (tmp_path / name for name in ("old", "image", "volume"))
    (small,) = (each for each in CHECKPOINTS if each.name == "sam2.1_tiny")
    for folder in (old, image):
        for file in small.files:
            (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.path).write_text(f"of the {folder.name} image")
    own = volume / small.files[0].path
    own.parent.mkdir(parents=True)
    own.write_text("of the volume")
    (volume / small.files[1].path).symlink_to(tmp_path / "gone" / "since")

    def start(baked: Path) -> str:
        words = ["stack", "models", "auto", "--models-dir", str(volume), "--baked", str(baked)]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        return result.output

    assert start(image) == "sam2.1_tiny is in the image; licence: Apache-2.0\n"
    assert own.read_text() == "of the volume"
    assert {(volume / file.path).read_text() for file in small.files[1:]} == {"of the image image"}
    assert start(image) == start(tmp_path / "none") == ""
    shutil.rmtree(image)
    assert set(small.missing(volume)) == set(small.files[1:]), "an image without them came"
    start(old)
    assert not small.missing(volume)


def test_models_that_need_no_weights_ask_nobody(tmp_path: Path) -> None:
    words = ["stack", "models", "auto", "embedded", "--models-dir", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.output) == (0, "")
    assert not list(tmp_path.iterdir())


def test_secrets_of_another_stack_than_the_database_are_a_clear_error(
    tmp_path: Path, label_studio: LabelStudioServer
) -> None:
    (tmp_path / "project").write_text("1\n")
    pair = BackendPair("http://segmentation:7070", "http://sam:9090")
    with (
        LabelStudio(label_studio.url, "of another stack") as client,
        pytest.raises(ProcessError, match="does not know the token in the volume"),
    ):
        bootstrap(client, tmp_path, pair, [], lambda *_: None)
