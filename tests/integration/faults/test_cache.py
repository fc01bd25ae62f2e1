"""The folder of fetched images full, gone, not a folder, or its files damaged."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.faults.conftest import Scene
from tests.support.asking import ask, click, counted, jpeg, lines, predicted, total, workers
from tests.support.http_server import Reply
from tests.support.processes import Backend, running_backend


@pytest.fixture
def folder(scene: Scene) -> Iterator[Path]:
    """Of the cache, holding something."""
    folder = scene.backend.log.parent / "images"
    upload = scene.upload()
    scene.studio.replies[upload] = Reply(body=jpeg())
    assert predicted(scene.backend, upload) == [True]
    assert list(folder.iterdir())
    yield folder
    assert predicted(scene.backend, upload) == [True]


def fetched(scene: Scene, upload: str, times: int = 2) -> int:
    """How often an upload is fetched when it is asked for so often; each gets its prediction."""
    scene.studio.replies[upload] = Reply(body=jpeg(1, 400, 300))
    for _ in range(times):
        assert predicted(scene.backend, upload) == [True]
    return scene.studio.paths.count(upload)


def warnings(scene: Scene) -> int:
    return sum("not cached on disk for now" in line["event"] for line in lines(scene.backend))


def told(backend: Backend, kind: str) -> float:
    """How often the metrics have counted such trouble."""
    return total(backend.url, "segstudio_image_cache_trouble_total", kind=kind)


def test_a_full_disk_costs_the_cache_only_and_passes(scene: Scene, folder: Path) -> None:
    (worker,) = workers(scene.backend)
    before, counts = warnings(scene), told(scene.backend, "full")
    soft, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    scene.studio.replies[big := scene.upload()] = Reply(body=jpeg(1, 2000, 1500) + bytes(10**6))
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (10**6, hard))
    try:
        assert predicted(scene.backend, big, big) == [True, True]
    finally:
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (soft, hard))
    assert scene.studio.paths.count(big) == 2
    assert warnings(scene) == before + 1
    assert told(scene.backend, "full") == counts + 2
    assert fetched(scene, scene.upload()) == 1


def test_a_folder_that_cannot_be_written_costs_the_cache_only_and_passes(
    scene: Scene, folder: Path
) -> None:
    before, counts = warnings(scene), told(scene.backend, "full")
    aside = folder.rename(folder.with_name("aside"))
    folder.write_bytes(b"a file where the folder should be")
    assert fetched(scene, scene.upload()) == 2
    assert warnings(scene) == before + 1
    assert told(scene.backend, "full") == counts + 2
    folder.unlink()
    aside.rename(folder)
    assert fetched(scene, scene.upload()) == 1


def test_a_folder_that_somebody_deleted_is_made_again(scene: Scene, folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert fetched(scene, scene.upload()) == 1


def test_damaged_files_are_dropped_and_fetched_anew(scene: Scene, folder: Path) -> None:
    upload, counts = scene.upload(), told(scene.backend, "damaged")
    fetched(scene, upload)
    for damage in (b"", b"x", bytes(5000)):
        for file in folder.iterdir():
            file.write_bytes(damage)
        count = scene.studio.paths.count(upload)
        assert fetched(scene, upload) == count + 1
    assert any("damaged file" in line["event"] for line in lines(scene.backend))
    assert told(scene.backend, "damaged") == counts + 3
    assert counted(scene.backend, "image_decode") == 0


def test_the_sam_backend_counts_the_same(scene: Scene, tmp_path: Path) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    variables = {"LABEL_STUDIO_URL": scene.studio.url, "IMAGE_CACHE_DIR": str(nowhere / "cache")}
    scene.studio.replies[upload := scene.upload()] = Reply(body=jpeg())
    with running_backend("sam_backend", tmp_path, EMBEDDING_DISK_MB="0", **variables) as sam:
        (answer,) = ask(sam, click(upload))
        assert answer["result"]
        assert told(sam, "full") == 1
