"""Local files of Label Studio, read straight from disk."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import (
    ImageError,
    ImageFetchError,
    ImageRefusedError,
)
from ml_backend.images import ImageSettings, ImageSource
from ml_backend.images.label_studio_media import _has_dotdot
from ml_backend.images.settings import MIB
from tests.support.pictures import png

Make = Callable[..., ImageSettings]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "a b+ü%.png").write_bytes(png())
    (tmp_path / "secret.png").write_bytes(png())
    (tmp_path / "files-beside").mkdir()
    (tmp_path / "files-beside" / "secret.png").write_bytes(png())
    return root


@pytest.mark.parametrize("start", ["/data/local-files/?d=", "/data/local-files?d="])
def test_local_files_come_from_disk_without_label_studio(
    start: str, root: Path, settings: Make
) -> None:
    source = ImageSource(settings(local_files_document_root=root))
    assert source.load(start + quote("sub/a b+ü%.png")).pixels.shape == (4, 6, 3)


def test_local_files_with_an_absolute_url_come_from_disk_too(root: Path, settings: Make) -> None:
    source = ImageSource(
        settings(local_files_document_root=root, label_studio_url="http://ls.example")
    )
    url = "http://ls.example/data/local-files/?d=" + quote("sub/a b+ü%.png")
    assert source.load(url).pixels.shape == (4, 6, 3)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "sub/../../secret.png",
        "%2e%2e/secret.png",
        "..%2fsecret.png",
        "..%5csecret.png",
        "sub%5c..%5c..%5csecret.png",
        "%EF%BC%8E%EF%BC%8E/secret.png",
        "../files-beside/secret.png",
        "/etc/hostname",
        "//etc/hostname",
        "link.png",
        "folder-link/secret.png",
    ],
)
def test_no_file_outside_the_root_is_read(name: str, root: Path, settings: Make) -> None:
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "folder-link").symlink_to(root.parent)
    source = ImageSource(settings(local_files_document_root=root))
    with pytest.raises((ImageRefusedError, ImageFetchError), match="LOCAL_FILES_DOCUMENT_ROOT"):
        source.load(f"/data/local-files/?d={name}")


@pytest.mark.parametrize(
    "name",
    [
        "sub/a%20b%2B%C3%BC%25.png",
        "/sub/a%20b%2B%C3%BC%25.png",
        "sub%5Ca%20b%2B%C3%BC%25.png",
        "\\sub\\a%20b%2B%C3%BC%25.png",
        "sub/../sub/./a%20b%2B%C3%BC%25.png",
        "sub/a+b%2Bu%CC%88%25.png",
    ],
)
def test_a_file_is_found_however_label_studio_writes_it(
    name: str, root: Path, settings: Make
) -> None:
    source = ImageSource(settings(local_files_document_root=root))
    assert source.load(f"/data/local-files/?d={name}").pixels.shape == (4, 6, 3)


def test_escapes_are_read_once(root: Path, settings: Make) -> None:
    (root / "a%20b.png").write_bytes(png(1))
    (root / "a b.png").write_bytes(png(2))
    (root / "de\u0301compose\u0301.png").write_bytes(png(3))
    source = ImageSource(settings(local_files_document_root=root))
    names = ("a%2520b.png", "a%20b.png", "d%C3%A9compos%C3%A9.png")
    digests = [source.load(f"/data/local-files/?d={name}").digest for name in names]
    assert digests == [hashlib.sha256(png(seed)).hexdigest() for seed in (1, 2, 3)]


def test_a_name_with_a_backslash_goes_before_a_folder(root: Path, settings: Make) -> None:
    (root / "one").mkdir()
    (root / "one" / "a.png").write_bytes(png(1))
    source = ImageSource(settings(local_files_document_root=root))
    before = source.load("/data/local-files/?d=one%5Ca.png").digest
    (root / "one\\a.png").write_bytes(png(2))
    after = source.load("/data/local-files/?d=one%5Ca.png").digest
    assert [before, after] == [hashlib.sha256(png(seed)).hexdigest() for seed in (1, 2)]


def test_links_within_the_root_are_followed(root: Path, settings: Make) -> None:
    (root / "link.png").symlink_to(root / "sub" / "a b+ü%.png")
    (root.parent / "root-link").symlink_to(root)
    source = ImageSource(settings(local_files_document_root=root.parent / "root-link"))
    assert source.load("/data/local-files/?d=link.png").pixels.shape == (4, 6, 3)


@pytest.mark.parametrize("name", ["missing.png", "sub", "", "x" * 300, "fifo", "sub/a/b"])
def test_what_is_not_a_file_is_a_fetch_error(name: str, root: Path, settings: Make) -> None:
    os.mkfifo(root / "fifo")
    source = ImageSource(settings(local_files_document_root=root))
    with pytest.raises(ImageFetchError):
        source.load(f"/data/local-files/?d={name}")


@pytest.mark.parametrize("name", ["a%00.png", "circle"])
def test_what_cannot_be_a_file_name_is_an_error_of_the_task(
    name: str, root: Path, settings: Make
) -> None:
    (root / "circle").symlink_to(root / "circle")
    source = ImageSource(settings(local_files_document_root=root))
    with pytest.raises(ImageError):
        source.load(f"/data/local-files/?d={name}")


def test_a_large_file_is_not_read_whole(root: Path, settings: Make) -> None:
    with (root / "large.png").open("wb") as file:
        file.truncate(10**10)
    source = ImageSource(settings(local_files_document_root=root, max_image_mb=10**6 / MIB))
    with pytest.raises(ImageError, match="more than 1 MB"):
        source.load("/data/local-files/?d=large.png")


@given(st.lists(st.sampled_from(["..", ".", "a", "%2e", "%2E%2e", "/", "%2f", "\\", "%5c", "%25"])))
def test_climbing_is_seen_through_any_number_of_escapes(parts: list[str]) -> None:
    path = "".join(parts)
    decoded = path
    for _ in range(len(path)):
        decoded = decoded.replace("%25", "%")
        for escape, character in (("%2e", "."), ("%2E", "."), ("%2f", "/"), ("%5c", "\\")):
            decoded = decoded.replace(escape, character)
    expected = ".." in decoded.replace("\\", "/").split("/")
    assert _has_dotdot(path) == expected
