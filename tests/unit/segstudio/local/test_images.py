from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from segstudio.errors import PhotographsError
from segstudio.local.images import Photograph, batches, draw_samples, find_photographs


def names(photographs: list[Photograph]) -> list[str]:
    return [photograph.name for photograph in photographs]


def test_photographs_are_found_in_folders_below_and_by_any_case_of_suffix(tmp_path: Path) -> None:
    (tmp_path / "autumn").mkdir()
    for name in ("b.JPG", "a.png", "autumn/c d.webp", "notes.txt", "scan.tiff"):
        (tmp_path / name).write_bytes(b"x")
    assert names(find_photographs(tmp_path)) == ["a", "autumn/c d", "b"]


def test_only_files_that_can_be_read_and_are_not_hidden_are_photographs(tmp_path: Path) -> None:
    for folder in (".thumbnails", "album.jpg"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "inside.jpg").write_bytes(b"x")
    for name in ("a.jpg", "._b.jpg"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "linked.jpg").symlink_to("album.jpg", target_is_directory=True)
    (tmp_path / "same.jpg").symlink_to("a.jpg")
    found = find_photographs(tmp_path)
    assert names(found) == ["a", "album.jpg/inside", "same"]
    assert len({photograph.digest for photograph in found}) == 1


def test_a_folder_without_photographs_is_refused_with_what_it_should_hold(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(PhotographsError, match=r"\.jpeg"):
        find_photographs(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PhotographsError, match="nowhere"):
        find_photographs(tmp_path / "nowhere")


def test_a_copy_under_another_name_is_the_same_picture(tmp_path: Path) -> None:
    for name, content in (("a.jpg", b"1"), ("b.jpg", b"1"), ("c.jpg", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = find_photographs(tmp_path)
    assert a.digest == b.digest != c.digest


def test_upload_names_need_no_quoting_in_a_url(tmp_path: Path) -> None:
    photograph = Photograph(tmp_path / "look é #1 (50%).jpg", "look")
    assert photograph.upload_name == "look_1_50_.jpg"


def test_samples_are_drawn_once(tmp_path: Path) -> None:
    samples = draw_samples(tmp_path / "samples")
    drawn = {sample.path: sample.path.stat().st_mtime_ns for sample in samples}
    assert len(drawn) == 6
    assert Image.open(samples[0].path).size == (600, 900)
    draw_samples(tmp_path / "samples")
    assert {path: path.stat().st_mtime_ns for path in drawn} == drawn


def test_batches_hold_every_photograph_once_and_none_is_empty(tmp_path: Path) -> None:
    for n in range(120):
        (tmp_path / f"{n:03}.jpg").write_bytes(b"x")
    photographs = find_photographs(tmp_path)
    cut = list(batches(photographs))
    assert [len(batch) for batch in cut] == [50, 50, 20]
    assert [photo for batch in cut for photo in batch] == photographs


def test_big_photographs_go_in_smaller_batches(tmp_path: Path) -> None:
    for n in range(3):
        with (tmp_path / f"{n}.jpg").open("wb") as file:
            file.truncate(60_000_000)
    assert [len(batch) for batch in batches(find_photographs(tmp_path))] == [1, 1, 1]


def test_an_upload_has_a_suffix_that_label_studio_takes(tmp_path: Path) -> None:
    for name in ("a.jfif", "b.JPE", "c.apng", "d.webp", "e.avif", "f.tiff"):
        (tmp_path / name).write_bytes(b"x")
    left_out: Counter[str] = Counter()
    found = find_photographs(tmp_path, left_out)
    assert [each.upload_name for each in found] == ["a.jpg", "b.jpg", "c.png", "d.webp"]
    assert left_out == {".avif": 1, ".tiff": 1}
