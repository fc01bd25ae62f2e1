"""The doctor where nothing is well; where all is, ``tests/e2e`` shows."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.command_line import Run, records
from tests.support.gcs_server import ALL_PERMISSIONS, GcsServer, Key
from tests.support.label_studio_server import LabelStudioServer, refusal

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def walled(label_studio: LabelStudioServer) -> None:
    """A Label Studio that refuses private addresses, in the words of 1.23.2."""
    refused = refusal(403, "URL resolves to a reserved network address")
    label_studio.fault = lambda request: refused if request.method == "POST" else None


@pytest.fixture(autouse=True)
def _no_label_studio(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("SEGMENTATION_PORT", "SAM_PORT"):
        monkeypatch.setenv(name, "9")


def checks(run: Run, *words: object, exit_code: int = 3) -> dict[str, tuple[str, str, str]]:
    """Name of each check → state, result, fix."""
    result = run("doctor", "--json", *words)
    assert result.exit_code == exit_code, result.output
    (outcome,) = records(result)
    return {each["what"]: (each["state"], each["told"], each["fix"]) for each in outcome["checks"]}


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("LABEL_STUDIO_URL", url)
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0" * 40)


def test_where_nothing_runs_each_failed_check_has_a_fix(run: Run) -> None:
    found = checks(run)
    assert "make up" in found["Label Studio"][2]
    assert "make backends" in found["segmentation backend"][2]
    assert found["sam backend"][0] == "bad"
    assert found["Google key"][0] == "unknown"
    assert {name for name, (state, *_) in found.items() if state == "bad"} == {
        *("Label Studio", "segmentation backend", "sam backend")
    }


def test_a_label_studio_that_does_not_answer_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, NOBODY)
    state, told, fix = checks(run)["Label Studio"]
    assert (state, "does not answer" in told) == ("bad", True)
    assert "LABEL_STUDIO_URL" in fix


@pytest.mark.usefixtures("walled")
def test_a_refused_private_address_is_told_with_the_variable_that_allows_it(
    run: Run,
) -> None:
    found = checks(run)
    assert found["token"][:2] == ("ok", "legacy token of anna@example.org")
    assert found["private addresses"][0] == "bad"
    assert "USE_DEFAULT_BANNED_SUBNETS=false" in found["private addresses"][2]


@pytest.mark.usefixtures("walled")
def test_checks_are_a_table_with_the_fixes_below_it(run: Run) -> None:
    output = run("doctor").stdout
    lines = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    assert lines[0] == "check result"
    assert lines[2].startswith("✓ Label Studio 1.23.2 at http://")
    assert any(line.startswith("✗ sam backend http:") for line in lines)
    fixes = lines[lines.index("To fix:") :]
    assert any(re.match("(segmentation backend, )?sam backend: start it: make", f) for f in fixes)
    assert re.fullmatch(r"3 of \d+ checks failed", lines[-1])


def test_a_key_that_is_none_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS_BASE64", "nonsense!")
    assert checks(run)["Google key"] == (
        *("bad", "GOOGLE_APPLICATION_CREDENTIALS_BASE64 is not base64"),
        "segstudio credentials check",
    )


def test_a_key_that_google_refuses_is_told(run: Run, gcs: GcsServer) -> None:
    gcs.key_deleted = True
    found = checks(run)
    assert "Google refuses the key" in found["Google key"][1]


class Bucket(NamedTuple):
    read: tuple[str, str, str]
    cors: tuple[str, str, str] | None
    signing: tuple[str, str, str] | None


def bucket(run: Run) -> Bucket:
    found = checks(run, "--bucket", "gs://photos")
    return Bucket(*(found.get(f"gs://photos {what}") for what in ("read", "CORS", "signing")))  # type: ignore[arg-type]


@pytest.fixture
def look(photos: GcsServer, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GcsServer:
    """A bucket with one image."""
    use(monkeypatch, NOBODY)
    (tmp_path / "a.jpg").write_bytes(b"jpeg")
    run("images", "upload", tmp_path, "--bucket", "photos", "--manifest", tmp_path / "list.csv")
    photos.writes.clear()
    return photos


def test_a_bucket_is_read_asked_for_its_rule_and_signed_for(run: Run, look: GcsServer) -> None:
    found = bucket(run)
    assert found.read[0] == found.signing[0] == "ok"  # type: ignore[index]
    assert found.cors == (
        *("bad", "does not allow http://localhost:9"),
        "segstudio bucket setup gs://photos gs://TARGET --origin http://localhost:9",
    )
    look.storage.buckets["photos"]["cors"] = [{"origin": ["*"], "method": ["GET"]}]
    assert bucket(run).cors == ("ok", "allows *", "")
    assert not look.writes, "the doctor changes nothing"


def test_a_signature_that_is_not_taken_is_told(run: Run, look: GcsServer) -> None:
    look.signing_key = Key()
    found = bucket(run).signing
    assert found is not None
    assert "SignatureDoesNotMatch" in found[1]


def test_a_bucket_that_may_not_be_read_comes_with_the_role(run: Run, look: GcsServer) -> None:
    look.permissions = ALL_PERMISSIONS - {"storage.objects.list"}
    found = bucket(run)
    assert found.read[0] == "bad"
    assert "roles/storage.objectViewer" in found.read[2]
    assert found.cors is None


def test_a_full_disk_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=100_000_000)
    monkeypatch.setattr("segstudio.local.doctor.shutil.disk_usage", lambda _: usage)
    state, told, fix = checks(run)["disk of .segstudio"]
    assert (state, told) == ("bad", "0.1 GB free")
    assert "du -sh" in fix
