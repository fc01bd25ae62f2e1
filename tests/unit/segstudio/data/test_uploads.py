import os
import re
from pathlib import Path

import pytest

from tests.support.command_line import Run, records
from tests.support.gcs_posts import RULE, UPLOAD, manifest_rows, write_posts
from tests.support.gcs_server import GcsServer


def test_the_rows_images_are_uploaded_under_the_naming_rule(photos: GcsServer, run: Run) -> None:
    expected = write_posts(1, 2, 3)
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 0, result.output
    assert photos.content("photos") == expected
    assert "3 uploaded, 0 there already, 0 failed" in result.stdout
    stored = photos.storage.get_file_obj("photos", "afd.bund/1.jpg")
    assert stored["contentType"] == "image/jpeg"


def test_the_manifest_joins_rows_to_objects(photos: GcsServer, run: Run) -> None:
    write_posts(1, 2)
    run(*UPLOAD, *RULE)
    assert manifest_rows()[1] == {
        "Username": "afd.bund",
        "ID": "2",
        "Caption": "a caption,\nof 2",
        "image_path": "images/2.jpg",
        "identifier": "afd.bund/2.jpg",
        "image": "gs://photos/afd.bund/2.jpg",
    }


def test_missing_files_are_named_and_the_others_go_on(photos: GcsServer, run: Run) -> None:
    expected = write_posts(1, 2, 3, 4, missing=(2, 4))
    Path("images/3.jpg").write_bytes(b"")
    del expected["afd.bund/3.jpg"]
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 3
    assert "row 2: images/2.jpg: the file does not exist" in result.stderr
    assert "row 3: images/3.jpg: the file is empty" in result.stderr
    assert "row 4: images/4.jpg: the file does not exist" in result.stderr
    assert photos.content("photos") == expected
    assert [row["ID"] for row in manifest_rows()] == ["1"]


def test_programs_get_a_record_for_each_failure_and_one_of_the_outcome(
    photos: GcsServer, run: Run
) -> None:
    write_posts(1, 2, missing=(2,))
    result = run(*UPLOAD, *RULE, "--json")
    failure, outcome = records(result)
    assert failure == {
        "failed": "images/2.jpg: the file does not exist",
        "row": 2,
        "name": "afd.bund/2.jpg",
    }
    assert outcome["uploaded"] == outcome["failed"] == 1
    assert outcome["items_per_second"] > 0
    assert Path(outcome["manifest"]).samefile("posts.manifest.csv")
    assert result.stderr == ""


def test_a_terminal_shows_a_bar_with_files_per_second(
    photos: GcsServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    write_posts(1, 2, 3)
    result = run(*UPLOAD, *RULE)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", result.stderr)
    assert re.search(r"files .*3/3 \d+\.\d/s", shown)


def test_what_is_there_is_skipped_by_its_checksum(photos: GcsServer, run: Run) -> None:
    write_posts(1, 2, 3)
    run(*UPLOAD, *RULE)
    before = Path("posts.manifest.csv").read_bytes()
    result = run(*UPLOAD, *RULE)
    assert "0 uploaded, 3 there already, 0 failed" in result.stdout
    assert set(photos.writes.values()) == {1}
    assert Path("posts.manifest.csv").read_bytes() == before


def test_objects_without_md5_are_compared_by_crc32c(photos: GcsServer, run: Run) -> None:
    write_posts(1, 2)
    run(*UPLOAD, *RULE)
    for stored in photos.storage.objects["photos"].values():
        del stored["md5Hash"]
    Path("images/2.jpg").write_bytes(Path("images/2.jpg").read_bytes()[::-1])
    result = run(*UPLOAD, *RULE)
    assert "0 uploaded, 1 there already, 1 failed" in result.stdout


def test_other_content_is_replaced_only_on_request(photos: GcsServer, run: Run) -> None:
    expected = write_posts(1, 2)
    run(*UPLOAD, *RULE)
    changed = expected["afd.bund/2.jpg"][::-1]
    Path("images/2.jpg").write_bytes(changed)
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 3
    assert "row 2: images/2.jpg: afd.bund/2.jpg has different content; see --rep" in result.stderr
    assert photos.content("photos") == expected
    result = run(*UPLOAD, *RULE, "--replace")
    assert "1 uploaded, 1 there already, 0 failed" in result.stdout
    assert photos.content("photos") == expected | {"afd.bund/2.jpg": changed}


def test_a_dry_run_says_what_would_be_and_writes_nothing(photos: GcsServer, run: Run) -> None:
    write_posts(1, 2, 3, missing=(3,))
    result = run(*UPLOAD, *RULE, "--dry-run")
    assert result.exit_code == 3
    assert "2 would be uploaded, 0 there already, 1 failed" in result.stdout
    assert not photos.writes
    assert not Path("posts.manifest.csv").exists()


def test_a_folder_keeps_its_paths(photos: GcsServer, run: Run) -> None:
    for name in ("looks/ss91/1.jpg", "looks/fw04/1.jpg", "looks/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    result = run("images", "upload", "looks", "--bucket", "photos")
    assert result.exit_code == 0, result.output
    assert set(photos.content("photos")) == {"fw04/1.jpg", "ss91/1.jpg"}
    assert manifest_rows("looks.manifest.csv")[0] == {
        "path": "fw04/1.jpg",
        "folder": "fw04",
        "stem": "1",
        "suffix": ".jpg",
        "identifier": "fw04/1.jpg",
        "image": "gs://photos/fw04/1.jpg",
    }


def test_a_large_image_arrives_in_parts(photos: GcsServer, run: Run) -> None:
    write_posts(1)
    content = os.urandom(9 << 20)
    Path("images/1.jpg").write_bytes(content)
    assert run(*UPLOAD, *RULE).exit_code == 0
    assert photos.content("photos") == {"afd.bund/1.jpg": content}


@pytest.mark.parametrize(
    ("identifiers", "rule", "problem"),
    [
        ((1, 2, 3), "{Username}.jpg", "2 rows have no unique name: row 2: 'afd.bund.jpg' is"),
        ((1, " "), "{ID}.jpg", "row 2: ID is empty"),
        (("../../x",), "{ID}.jpg", "is not a path inside the bucket"),
        ((1,), "{Id}.jpg", "'Id' that does not exist (the columns are: Username, ID, Caption,"),
    ],
)
def test_a_rule_that_does_not_fit_is_told_before_anything_is_sent(
    identifiers: tuple[int | str, ...], rule: str, problem: str, photos: GcsServer, run: Run
) -> None:
    write_posts(*identifiers, missing=identifiers)
    result = run(*UPLOAD, "--path-column", "image_path", "--name", rule)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert not photos.requests


def test_a_path_column_that_is_not_there_is_told(photos: GcsServer, run: Run) -> None:
    write_posts(1)
    result = run(*UPLOAD, "--path-column", "path", "--name", "{ID}")
    assert result.exit_code == 1
    assert "no column 'path' for the images' paths" in result.stderr


def test_a_manifest_never_replaces_its_source(photos: GcsServer, run: Run) -> None:
    write_posts(1)
    before = Path("posts.csv").read_text()
    result = run(*UPLOAD, *RULE, "--manifest", "./posts.csv")
    assert result.exit_code == 1
    assert "the manifest would replace posts.csv" in result.stderr
    assert Path("posts.csv").read_text() == before


def test_a_row_without_a_path_is_named(photos: GcsServer, run: Run) -> None:
    Path("posts.csv").write_text("Username,ID,image_path\na,1,\na,2, \na,3,x\0y\n")
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        f"row {number}: the row names no file" for number in (1, 2, 3)
    ]


def test_a_csv_without_a_rule_is_wrong_usage(photos: GcsServer, run: Run) -> None:
    write_posts(1)
    result = run(*UPLOAD, "--path-column", "image_path")
    assert result.exit_code == 2
    assert "--name" in result.stderr
