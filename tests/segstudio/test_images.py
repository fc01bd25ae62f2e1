import csv
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from segstudio.tables import CsvTable
from tests.segstudio.conftest import Run, records, use_key
from tests.segstudio.gcs_server import ALL_PERMISSIONS, EMAIL, GcsServer

SEGSTUDIO = str(Path(sys.executable).with_name("segstudio"))
UPLOAD = ("images", "upload", "posts.csv", "--bucket", "gs://photos")
RULE = ("--path-column", "image_path", "--name", "{Username}/{ID}.jpg")


@pytest.fixture
def photos(gcs: GcsServer, run: Run) -> GcsServer:
    """An empty bucket, in a folder of an empty CSV file."""
    gcs.add_bucket("photos")
    return gcs


def write_posts(*identifiers: int | str, missing: tuple[int | str, ...] = ()) -> dict[str, bytes]:
    """Write posts.csv and its images; what the bucket shall then hold."""
    Path("images").mkdir(exist_ok=True)
    expected = {}
    with Path("posts.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("Username", "ID", "Caption", "image_path"))
        for identifier in identifiers:
            path = Path("images", f"{identifier}.jpg")
            rows.writerow(("afd.bund", identifier, f"a caption,\nof {identifier}", path))
            if identifier not in missing:
                content = f"image {identifier} \r\n\0\xff".encode("latin-1")
                path.write_bytes(content)
                expected[f"afd.bund/{identifier}.jpg"] = content
    return expected


def manifest_rows(path: str = "posts.manifest.csv") -> list[dict[str, str]]:
    return [dict(row.values) for row in CsvTable(Path(path))]


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
    assert "row 2: images/2.jpg: there is no such file" in result.stderr
    assert "row 3: images/3.jpg: the file is empty" in result.stderr
    assert "row 4: images/4.jpg: there is no such file" in result.stderr
    assert photos.content("photos") == expected
    assert [row["ID"] for row in manifest_rows()] == ["1"]


def test_programs_get_a_record_for_each_failure_and_one_of_the_outcome(
    photos: GcsServer, run: Run
) -> None:
    write_posts(1, 2, missing=(2,))
    result = run(*UPLOAD, *RULE, "--json")
    failure, outcome = records(result)
    assert failure == {
        "failed": "images/2.jpg: there is no such file",
        "row": 2,
        "name": "afd.bund/2.jpg",
    }
    assert outcome["uploaded"] == outcome["failed"] == 1
    assert outcome["items_per_second"] > 0
    assert Path(outcome["manifest"]).samefile("posts.manifest.csv")
    assert result.stderr == ""


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
    assert "row 2: images/2.jpg: afd.bund/2.jpg holds something else; see --repl" in result.stderr
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
        ((1, 2, 3), "{Username}.jpg", "2 rows get no name of their own: row 2: 'afd.bund.jpg' is"),
        ((1, " "), "{ID}.jpg", "row 2: ID is empty"),
        (("../../x",), "{ID}.jpg", "is no path inside the bucket"),
        ((1,), "{Id}.jpg", "'Id' that is not there (the columns are: Username, ID, Caption,"),
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


def test_a_csv_without_a_rule_is_wrong_usage(photos: GcsServer, run: Run) -> None:
    write_posts(1)
    result = run(*UPLOAD, "--path-column", "image_path")
    assert result.exit_code == 2
    assert "--name" in result.stderr


def once(status: int, part: str) -> Callable[[str, str], int | None]:
    """The status for the first request whose path has a part, nothing for the others."""
    first: Iterator[int] = iter([status])
    return lambda _method, path: next(first, None) if part in path else None


def always(status: int, part: str) -> Callable[[str, str], int | None]:
    return lambda _method, path: status if part in path else None


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_moment_is_outlasted(status: int, photos: GcsServer, run: Run) -> None:
    expected = write_posts(1, 2, 3)
    photos.fault = once(status, "/upload/")
    assert run(*UPLOAD, *RULE).exit_code == 0
    assert photos.content("photos") == expected


def test_a_write_whose_answer_got_lost_is_not_done_twice(photos: GcsServer, run: Run) -> None:
    expected = write_posts(1, 2, 3)
    photos.lost_answer = once(503, "/upload/")
    result = run(*UPLOAD, *RULE)
    assert "3 uploaded, 0 there already, 0 failed" in result.stdout
    assert photos.content("photos") == expected
    assert set(photos.writes.values()) == {1}


def test_an_object_of_somebody_else_is_not_overwritten(photos: GcsServer, run: Run) -> None:
    write_posts(1)

    def meanwhile(_method: str, path: str) -> None:
        if "/upload/" in path and not photos.content("photos"):
            stored = {
                "name": "afd.bund/1.jpg",
                "generation": "9",
                "size": "6",
                "crc32c": "AAAAAA==",
            }
            photos.storage.create_file("photos", "afd.bund/1.jpg", b"theirs", stored)

    photos.fault = meanwhile
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 3
    assert "gs://photos/afd.bund/1.jpg has changed meanwhile" in result.stderr
    assert photos.content("photos") == {"afd.bund/1.jpg": b"theirs"}


@pytest.mark.parametrize(
    ("status", "problem", "hint"),
    [
        (401, "Google does not accept the token (HTTP 401)", "segstudio credentials check"),
        (404, "there is no such bucket (HTTP 404)", "check its name"),
        (429, "it is asked too often (HTTP 429)", "--workers"),
        (503, "HTTP 503: fault 503", "run the command again later"),
    ],
)
@pytest.mark.parametrize("part", ["/upload/", "/b/photos/o"])
def test_a_bucket_that_cannot_be_used_stops_the_upload_with_one_line(
    part: str, status: int, problem: str, hint: str, photos: GcsServer, run: Run
) -> None:
    write_posts(*range(50))
    photos.fault = always(status, part)
    result = run(*UPLOAD, *RULE, "--retry-seconds", "0.1", "--json")
    assert result.exit_code == 1
    (record,) = records(result)
    assert record["error"]["message"].startswith(f"gs://photos: {problem}")
    assert hint in record["error"]["hint"]
    assert not Path("posts.manifest.csv").exists()


def test_an_upload_that_stops_says_how_far_it_came(photos: GcsServer, run: Run) -> None:
    write_posts(*range(20))
    photos.fault = lambda _method, path: 503 if photos.writes.total() >= 10 else None
    result = run(*UPLOAD, *RULE, "--retry-seconds", "0.1", "--workers", "1")
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert "; 10 of 20 images are in the bucket" in error
    assert "then run the same command again: it goes on" in error
    photos.fault = always(0, "")
    result = run(*UPLOAD, *RULE)
    assert "10 uploaded, 10 there already, 0 failed" in result.stdout


def test_a_bucket_that_is_not_there_is_named(gcs: GcsServer, run: Run) -> None:
    write_posts(1)
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 1
    assert "gs://photos: there is no such bucket (HTTP 404)" in result.stderr


def test_a_lacking_permission_comes_with_the_command_that_grants_it(
    photos: GcsServer, run: Run
) -> None:
    write_posts(1, 2)
    photos.permissions = ALL_PERMISSIONS - {"storage.objects.create"}
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 1
    assert (
        "gcloud storage buckets add-iam-policy-binding gs://photos "
        f"--member=serviceAccount:{EMAIL} --role=roles/storage.objectCreator"
    ) in result.stderr


def test_tokens_that_have_expired_are_told(photos: GcsServer, run: Run) -> None:
    write_posts(1)
    photos.expired = True
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 1
    assert "Google does not accept the token (HTTP 401)" in result.stderr


def test_a_deleted_key_is_told(photos: GcsServer, run: Run) -> None:
    write_posts(1)
    photos.key_deleted = True
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 1
    assert f"Google refuses the key of {EMAIL}: invalid_grant" in result.stderr


def test_a_key_that_is_no_key_is_told(
    photos: GcsServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_posts(1)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS_BASE64", "e30=")
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 1
    assert "service_account" in result.stderr
    use_key(monkeypatch, photos.key_file)
    assert run(*UPLOAD, *RULE).exit_code == 0


def test_an_upload_killed_in_the_middle_goes_on_and_does_nothing_twice(
    photos: GcsServer, run: Run
) -> None:
    expected = write_posts(*range(2000))
    enough, killed = threading.Event(), threading.Event()

    def hold_on(_method: str, _path: str) -> None:
        """After 800 writes, let the requests wait until nobody is there for their answers."""
        if photos.writes.total() >= 800 and not killed.is_set():
            enough.set()
            killed.wait(60)

    photos.fault = hold_on
    with subprocess.Popen([SEGSTUDIO, *UPLOAD, *RULE], stderr=subprocess.DEVNULL) as process:
        assert enough.wait(120)
        process.kill()
    killed.set()
    assert not Path("posts.manifest.csv").exists()

    (outcome,) = records(run(*UPLOAD, *RULE, "--json"))
    assert outcome["uploaded"] + outcome["present"] == 2000
    assert 800 <= outcome["present"] < 2000
    assert photos.content("photos") == expected
    assert set(photos.writes.values()) == {1}
    assert [row["identifier"] for row in manifest_rows()] == list(expected)


def test_memory_stays_flat_for_a_hundred_thousand_rows(photos: GcsServer, run: Run) -> None:
    Path("1.jpg").write_bytes(b"image")

    def peak_kib(rows: int) -> int:
        with Path("posts.csv").open("w") as file:
            file.write("Username,ID,image_path\n")
            file.writelines(f"someone,{n},1.jpg\n" for n in range(rows))
        process = subprocess.Popen([SEGSTUDIO, *UPLOAD, *RULE, "--dry-run"])
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        return usage.ru_maxrss

    assert peak_kib(100_000) - peak_kib(1_000) < 16_000
