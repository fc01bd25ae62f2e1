import sys
from contextlib import nullcontext
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from segstudio.data.atomic_files import atomic_write
from segstudio.errors import ProcessError
from segstudio.local import run, services
from segstudio.local.log_view import LogView
from segstudio.local.processes import Program
from segstudio.local.state import read_state, state_folder, write_state
from segstudio.settings import UpSettings
from tests.support.processes import free_port


def test_the_first_start_makes_a_login_that_later_starts_find_again(tmp_path: Path) -> None:
    first = read_state(tmp_path)
    assert len(first.password) >= 12
    assert read_state(tmp_path) == first


def test_no_two_first_starts_make_the_same_secrets(tmp_path: Path) -> None:
    with state_folder(tmp_path / "a") as a, state_folder(tmp_path / "b") as b:
        first, second = read_state(a), read_state(b)
    assert first.password != second.password
    assert first.token != second.token


def test_what_is_written_is_read(tmp_path: Path) -> None:
    state = read_state(tmp_path).model_copy(update={"project": 7})
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state


def test_only_the_user_can_read_the_secrets(tmp_path: Path) -> None:
    with state_folder(tmp_path / "state") as folder:
        write_state(folder, read_state(folder))
        assert (folder / "state.json").stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700


def test_others_cannot_read_the_folder_where_the_backends_alone_were_started_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Program(
        "gone", (sys.executable, "-c", "raise SystemExit"), {}, "http://127.0.0.1:9", "/"
    )
    monkeypatch.setattr(services, "backends", lambda *_: (gone,))
    folder = tmp_path / "state"
    settings = UpSettings(state_dir=folder, segmentation_port=free_port(), sam_port=free_port())
    view = LogView(Console(file=StringIO()), lambda: nullcontext(lambda *_: None))
    with pytest.raises(ProcessError, match="gone exited"):
        run.serve(settings, view)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with state_folder(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ProcessError, match="file") as caught,
        state_folder(tmp_path / "file" / "in"),
    ):
        pass
    assert "STATE_DIR" in caught.value.hint


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(ProcessError, match=r"state\.json is damaged"):
        read_state(tmp_path)
    assert (tmp_path / "state.json").read_text() == "{"


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    with (
        state_folder(tmp_path),
        pytest.raises(ProcessError, match="another"),
        state_folder(tmp_path),
    ):
        pass
    with state_folder(tmp_path):
        pass


def test_a_file_that_is_written_whole_is_never_there_in_part_nor_readable_by_others(
    tmp_path: Path,
) -> None:
    path = tmp_path / "secret"
    path.write_text("of an earlier run")
    path.chmod(0o644)
    with path.open() as before:
        with atomic_write(path, 0o600) as part:
            part.write_text("new")
        assert before.read() == "of an earlier run", "who reads it just now reads it to its end"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
