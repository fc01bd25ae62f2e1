import csv
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segstudio.data.manifest import ManifestWriter, manifest_columns
from segstudio.data.tables import CsvTable, FolderTable, Row, TableError, describe_left_out

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
ROWS = st.lists(st.tuples(CELLS, CELLS), max_size=5)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "posts.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_rows_come_by_column_and_as_often_as_one_likes(tmp_path: Path) -> None:
    table = CsvTable(written(tmp_path, '\ufeffID,Caption\n1,"two\nlines"\n\n2,""\n'))
    rows = [
        Row(1, {"ID": "1", "Caption": "two\nlines"}),
        Row(2, {"ID": "2", "Caption": ""}),
    ]
    assert table.columns == ("ID", "Caption")
    assert list(table) == rows
    assert list(table) == rows


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("ID,ID\n1,2\n", "'ID' twice"),
        ("ID,Name\n1\n", "row 1 .* has 1 cells, its header 2"),
        ("ID,Name\n1,2\n1,2,3\n", "row 2 .* has 3 cells"),
        ('ID\n"open\n', "not a CSV"),
        (b"ID\n\xff\n", "not in UTF-8"),
        ("ID\n" + "x" * 200_000 + "\n", "not a CSV file: field larger"),
    ],
)
def test_a_file_that_is_no_table_says_where(
    content: str | bytes, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match=problem):
        list(CsvTable(written(tmp_path, content)))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"missing\.csv: No such file"):
        CsvTable(tmp_path / "missing.csv")


def test_a_folders_images_come_by_name_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/2.png", "a/1.png", "notes.txt", ".hidden.png", ".trash/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    rows = list(FolderTable(tmp_path))
    assert [row.values["path"] for row in rows] == ["a/1.png", "a/2.png", "b.JPG"]
    assert rows[1] == Row(2, {"path": "a/2.png", "folder": "a", "stem": "2", "suffix": ".png"})
    assert rows[2].values["folder"] == ""


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"no folder .*missing"):
        FolderTable(tmp_path / "missing")


@given(ROWS)
def test_a_manifest_keeps_every_cell_and_adds_name_and_reference(
    rows: list[tuple[str, str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, manifest = Path(folder, "posts.csv"), Path(folder, "manifest.csv")
        with source.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("ID", "Caption"), *rows])
        table = CsvTable(source)
        with ManifestWriter.open(
            manifest, manifest_columns(table, "name", "url"), "photos"
        ) as writer:
            for row in table:
                writer.add(row, f"{row.number}.jpg")
        read = CsvTable(manifest)
        assert read.columns == ("ID", "Caption", "name", "url")
        assert [tuple(row.values.values()) for row in read] == [
            (*cells, f"{n}.jpg", f"gs://photos/{n}.jpg") for n, cells in enumerate(rows, start=1)
        ]


def test_a_manifest_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = written(tmp_path, "of an earlier run")
    with pytest.raises(KeyError), ManifestWriter.open(path, ("ID",), "photos"):
        raise KeyError
    assert path.read_text() == "of an earlier run"
    assert list(tmp_path.iterdir()) == [path]


def test_a_manifest_in_no_folder_is_an_error_before_anything_else(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "manifest.csv"
    with (
        pytest.raises(TableError, match="cannot write"),
        ManifestWriter.open(missing, ("ID",), "photos"),
    ):
        pytest.fail("the body must not run")


@pytest.mark.parametrize(
    ("identifier", "image"), [("ID", "image"), ("identifier", "ID"), ("same", "same")]
)
def test_a_manifests_own_columns_are_its_own(identifier: str, image: str, tmp_path: Path) -> None:
    table = CsvTable(written(tmp_path, "ID\n1\n"))
    with pytest.raises(TableError, match="column"):
        manifest_columns(table, identifier, image)


def test_jpeg_is_known_by_every_suffix_and_what_is_left_out_is_counted(tmp_path: Path) -> None:
    for name in ("a.jpe", "b.JFIF", "c.avif", "d.apng", "e.heic", "f.HEIC", "notes.txt", "README"):
        (tmp_path / name).touch()
    table = FolderTable(tmp_path)
    for _ in range(2):
        assert [row.values["stem"] for row in table] == ["a", "b", "c", "d"]
        assert table.left_out == {".heic": 2, ".txt": 1, "": 1}
    told = describe_left_out(table.left_out)
    assert told == "4 files of other kinds are ignored: 1 without suffix, 2 .heic, 1 .txt"
    assert describe_left_out(Counter()) == ""
