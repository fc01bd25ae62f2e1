from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Run, records, use_key
from tests.support.gcs_posts import RULE, UPLOAD, write_posts
from tests.support.gcs_server import ALL_PERMISSIONS, EMAIL, GcsServer


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

    def change_it(_method: str, path: str) -> None:
        if "/upload/" in path and not photos.content("photos"):
            stored = {
                "name": "afd.bund/1.jpg",
                "generation": "9",
                "size": "6",
                "crc32c": "AAAAAA==",
            }
            photos.storage.create_file("photos", "afd.bund/1.jpg", b"theirs", stored)

    photos.fault = change_it
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 3
    assert "gs://photos/afd.bund/1.jpg was changed by another program" in result.stderr
    assert photos.content("photos") == {"afd.bund/1.jpg": b"theirs"}


@pytest.mark.parametrize(
    ("status", "problem", "hint"),
    [
        (401, "Google does not accept the token (HTTP 401)", "segstudio credentials check"),
        (404, "the bucket does not exist (HTTP 404)", "check its name"),
        (429, "too many requests (HTTP 429)", "--workers"),
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
    assert result.stderr.count("\n") == 1
    assert "; 10 of 20 images are in the bucket" in result.stderr
    assert "then run the same command again to continue" in result.stderr
    photos.fault = always(0, "")
    result = run(*UPLOAD, *RULE)
    assert "10 uploaded, 10 there already, 0 failed" in result.stdout


def test_a_bucket_that_is_not_there_is_named(gcs: GcsServer, run: Run) -> None:
    write_posts(1)
    result = run(*UPLOAD, *RULE)
    assert result.exit_code == 1
    assert "gs://photos: the bucket does not exist (HTTP 404)" in result.stderr


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
