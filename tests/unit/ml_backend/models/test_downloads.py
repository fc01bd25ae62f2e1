"""Weights from a web server that behaves as the web does."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_backend.errors import ModelError
from ml_backend.models import downloads
from ml_backend.models.checkpoints import Checkpoint, CheckpointFile
from ml_backend.models.downloads import obtain, pull
from tests.support.file_server import Fault, FileServer
from tests.support.waiting import eventually

CONTENT = {
    "config.json": b'{"layers": 2}\n',
    "model.safetensors": bytes(range(256)) * 1024,
}
SIZE = len(CONTENT["model.safetensors"])


class Notes:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: dict[str, int] = {}

    def progress(self, file: CheckpointFile, done: int) -> None:
        self.done[file.path] = done

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running


def publish(server: FileServer) -> Checkpoint:
    """A model of two files on the server."""
    files = []
    for name, data in CONTENT.items():
        server.files[f"/{name}"] = data
        sha256 = hashlib.sha256(data).hexdigest()
        url = f"{server.url}/{name}"
        files.append(CheckpointFile("toy", f"toy-1/{name}", len(data), sha256, url))
    return Checkpoint("toy", "SAM_MODEL", "Apache-2.0", tuple(files))


@pytest.fixture
def weights(server: FileServer) -> Checkpoint:
    return publish(server)


def quick_pull(weights: Checkpoint, folder: Path, watcher: Notes | None = None) -> list[str]:
    """Pull without pauses; the paths of the fetched files."""
    fetched = pull(weights, folder, watcher or Notes(), pauses=(0, 0, 0))
    return [file.path for file in fetched]


def found(folder: Path) -> dict[str, bytes]:
    """The files that a person sees in the model's folder."""
    return {
        path.name: path.read_bytes()
        for path in (folder / "toy-1").iterdir()
        if not path.name.startswith(".")
    }


def test_a_model_is_fetched_whole_and_right(weights: Checkpoint, tmp_path: Path) -> None:
    watcher = Notes()
    folder = tmp_path / "not" / "yet"
    assert quick_pull(weights, folder, watcher) == [file.path for file in weights.files]
    assert found(folder) == CONTENT
    assert weights.check(folder) == folder / "toy-1"
    assert watcher.done == {file.path: file.size for file in weights.files}
    assert not list((folder / "toy-1").glob(".*"))


def test_a_dropped_connection_is_resumed_where_it_broke_off(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    server.faults = [None, Fault(breaks_after=100_000), Fault(breaks_after=50_000)]
    quick_pull(weights, tmp_path)
    assert found(tmp_path) == CONTENT
    assert server.asked[2:] == [
        ("/model.safetensors", "bytes=100000-"),
        ("/model.safetensors", "bytes=150000-"),
    ]
    assert server.sent == weights.size


def test_an_answer_of_unknown_length_that_ends_early_is_resumed_too(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    server.tells_length = False
    server.faults = [None, Fault(breaks_after=100_000)]
    quick_pull(weights, tmp_path)
    assert found(tmp_path) == CONTENT
    assert server.sent == weights.size


def test_the_next_pull_goes_on_where_the_last_one_gave_up(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    server.faults = [None, Fault(breaks_after=200_000), *[Fault(status=503)] * 4]
    with pytest.raises(ModelError, match="503"):
        quick_pull(weights, tmp_path)
    assert found(tmp_path) == {"config.json": CONTENT["config.json"]}
    assert quick_pull(weights, tmp_path) == ["toy-1/model.safetensors"]
    assert found(tmp_path) == CONTENT
    assert server.sent == weights.size


@settings(max_examples=25)
@given(breaks=st.lists(st.integers(1, SIZE), max_size=6), ranges=st.booleans())
def test_wherever_connections_break_the_file_is_right_in_the_end(
    breaks: list[int], ranges: bool
) -> None:
    with FileServer() as server, tempfile.TemporaryDirectory() as folder:
        weights = publish(server)
        server.knows_ranges = ranges
        # A server without ranges has to come further each time, or it brings nothing new.
        points = breaks if ranges else sorted(set(breaks))
        server.faults = [None, *(Fault(breaks_after=point) for point in points)]
        quick_pull(weights, Path(folder))
        assert found(Path(folder)) == CONTENT


def test_a_server_that_brings_nothing_is_left_after_a_few_tries(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    server.knows_ranges = False
    server.faults = [None, *[Fault(breaks_after=1000)] * 100]
    with pytest.raises(ModelError, match=r"cannot fetch .*/model\.safetensors"):
        quick_pull(weights, tmp_path)
    assert len(server.asked) == 1 + 1 + 4


def test_a_busy_server_is_asked_again_and_the_user_told(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    server.faults = [Fault(status=429), Fault(status=500), Fault(status=503)]
    watcher = Notes()
    quick_pull(weights, tmp_path, watcher)
    assert found(tmp_path) == CONTENT
    assert [note for note in watcher.notes if "429" in note] == [
        "config.json: HTTP 429; trying again"
    ]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(
    server: FileServer, weights: Checkpoint, tmp_path: Path, status: int
) -> None:
    server.faults = [Fault(status=status)]
    with pytest.raises(ModelError, match=str(status)):
        quick_pull(weights, tmp_path)
    assert len(server.asked) == 1


def test_redirects_are_followed_also_when_resuming(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    server.files["/far"] = server.files.pop("/model.safetensors")
    server.redirects["/model.safetensors"] = "/far"
    server.faults = [None, Fault(breaks_after=1234)]
    quick_pull(weights, tmp_path)
    assert found(tmp_path) == CONTENT
    assert server.asked[-1] == ("/far", "bytes=1234-")


def test_without_a_network_every_missing_file_is_named_with_its_hash_and_place(
    weights: Checkpoint, tmp_path: Path
) -> None:
    offline = replace(
        weights, files=tuple(replace(f, url="http://127.0.0.1:9/x") for f in weights.files)
    )
    with pytest.raises(ModelError) as error:
        quick_pull(offline, tmp_path)
    for file in weights.files:
        name = Path(file.path).name
        assert f"place {name} (sha256 {file.sha256}) in {tmp_path / 'toy-1'}" in error.value.hint


def test_a_file_with_a_wrong_hash_is_never_put_in_place(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    server.faults = [None, Fault(changes=True)]
    with pytest.raises(ModelError, match="is damaged or another file"):
        quick_pull(weights, tmp_path)
    assert found(tmp_path) == {"config.json": CONTENT["config.json"]}
    assert not list((tmp_path / "toy-1").glob("*.part"))
    assert quick_pull(weights, tmp_path) == ["toy-1/model.safetensors"]
    assert found(tmp_path) == CONTENT


@pytest.mark.parametrize("tells_length", [True, False])
def test_a_longer_file_is_refused_before_it_fills_the_disk(
    server: FileServer, weights: Checkpoint, tmp_path: Path, tells_length: bool
) -> None:
    server.tells_length = tells_length
    server.files["/model.safetensors"] *= 2
    with pytest.raises(ModelError, match="is not the expected file"):
        quick_pull(weights, tmp_path)
    assert found(tmp_path) == {"config.json": CONTENT["config.json"]}


def test_a_shorter_file_is_refused(server: FileServer, weights: Checkpoint, tmp_path: Path) -> None:
    server.files["/model.safetensors"] = b"version https://git-lfs.github.com/spec/v1"
    with pytest.raises(ModelError, match="is not the expected file"):
        quick_pull(weights, tmp_path)


def test_what_is_right_stays_and_what_is_damaged_is_fetched_again(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    quick_pull(weights, tmp_path)
    (tmp_path / "toy-1" / "config.json").write_bytes(b"{}")
    server.requests.clear()
    assert quick_pull(weights, tmp_path) == ["toy-1/config.json"]
    assert quick_pull(weights, tmp_path) == []
    assert server.asked == [("/config.json", None)]
    assert found(tmp_path) == CONTENT


def test_a_second_pull_waits_for_the_first_and_fetches_nothing_twice(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    server.may_answer.clear()
    first, second = Notes(), Notes()
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(quick_pull, weights, tmp_path, first)
        eventually(lambda: bool(server.asked))
        two = threads.submit(quick_pull, weights, tmp_path, second)
        eventually(lambda: bool(second.notes))
        server.may_answer.set()
        assert (len(one.result()), len(two.result())) == (2, 0)
    assert second.notes == [f"waiting for another download into {tmp_path}"]
    assert len(server.asked) == 2


def test_a_disk_that_is_too_small_is_told_before_anything_is_fetched(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    usage = os.statvfs(tmp_path)
    huge = replace(weights.files[1], size=usage.f_bavail * usage.f_frsize + 10**9)
    with pytest.raises(ModelError, match="GB free"):
        quick_pull(replace(weights, files=(huge,)), tmp_path)
    assert server.asked == []


PULL_IN_LITTLE_SPACE = """
import resource, sys
from pathlib import Path
from ml_backend.models.downloads import pull
from ml_backend.errors import ModelError
from tests.unit.ml_backend.models.test_downloads import Notes, Checkpoint, CheckpointFile

weights, folder = eval(sys.argv[1]), Path(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    pull(weights, folder, Notes())
except ModelError as error:
    print(error)
"""


def test_a_disk_that_runs_full_is_an_error_and_what_was_fetched_is_kept(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PULL_IN_LITTLE_SPACE, repr(weights), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ended.stdout.startswith(f"cannot write {tmp_path}: File too large (free disk space")
    assert found(tmp_path) == {"config.json": CONTENT["config.json"]}
    server.requests.clear()
    quick_pull(weights, tmp_path)
    assert server.asked == [("/model.safetensors", "bytes=100000-")]
    assert found(tmp_path) == CONTENT


def test_a_folder_that_cannot_be_made_is_an_error(weights: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"cannot write .*file"):
        quick_pull(weights, tmp_path / "file" / "models")


def test_a_backend_fetches_what_is_missing_and_judges_nothing_that_is_there(
    server: FileServer, weights: Checkpoint, tmp_path: Path
) -> None:
    obtain(weights, tmp_path)
    assert found(tmp_path) == CONTENT
    (tmp_path / "toy-1" / "model.safetensors").write_bytes(b"damaged")
    server.requests.clear()
    obtain(weights, tmp_path)
    assert server.asked == []
    with pytest.raises(ModelError, match="is damaged"):
        weights.check(tmp_path)


def test_another_model_may_serve_where_the_weights_cannot_be_had_if_that_is_allowed(
    server: FileServer, weights: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PAUSES", (0.01,))
    gone = replace(weights, files=tuple(replace(f, url=f.url + ".gone") for f in weights.files))
    with pytest.raises(ModelError, match="cannot fetch"):
        obtain(gone, tmp_path)
    assert not obtain(gone, tmp_path, fallback=True)
    assert obtain(weights, tmp_path, fallback=True)
