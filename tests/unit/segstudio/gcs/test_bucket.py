import pytest

from ml_backend.errors import SettingsError
from segstudio.gcs.client import parse_address
from tests.support.command_line import Run, records, use_key
from tests.support.gcs_server import ALL_PERMISSIONS, EMAIL, PROJECT, GcsServer, Key

SETUP = ("bucket", "setup", "gs://photos", "gs://labels", "--origin", "http://localhost:8080")
CORS = {
    "origin": ["http://localhost:8080"],
    "method": ["GET"],
    "responseHeader": ["Content-Type", "Access-Control-Allow-Origin"],
    "maxAgeSeconds": 3600,
}


@pytest.fixture
def buckets(gcs: GcsServer) -> GcsServer:
    gcs.add_bucket("photos")
    gcs.add_bucket("labels")
    return gcs


def changes(gcs: GcsServer) -> list[tuple[str, str]]:
    """The requests that change buckets themselves."""
    return [
        (method, path)
        for method, path in gcs.requests
        if method in {"PATCH", "PUT"} or (method, path) == ("POST", "/storage/v1/b")
    ]


def test_what_is_missing_is_created_and_configured(gcs: GcsServer, run: Run) -> None:
    result = run(*SETUP, "--location", "EU")
    assert result.exit_code == 0, result.output
    photos, labels = gcs.storage.buckets["photos"], gcs.storage.buckets["labels"]
    assert photos["cors"] == labels["cors"] == [CORS]
    assert labels["versioning"] == {"enabled": True}
    assert "versioning" not in photos
    for body in gcs.created:
        assert body["location"] == "EU"
        assert body["iamConfiguration"]["publicAccessPrevention"] == "enforced"


def test_a_second_run_changes_nothing(gcs: GcsServer, run: Run) -> None:
    run(*SETUP)
    gcs.requests.clear()
    (outcome,) = records(run(*SETUP, "--json"))
    assert {step["state"] for step in outcome["steps"]} == {"ok"}
    assert {frozenset(step) for step in outcome["steps"]} == {
        frozenset({"bucket", "what", "state", "detail", "fixes"})
    }
    assert changes(gcs) == []


def test_a_dry_run_writes_nothing(gcs: GcsServer, run: Run) -> None:
    gcs.add_bucket("photos")
    result = run(*SETUP, "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.count("to do") == 4  # CORS of one; bucket, CORS, versioning of the other
    assert {method for method, _ in gcs.requests} == {"GET"}


def test_the_probe_leaves_nothing_behind(buckets: GcsServer, run: Run) -> None:
    result = run(*SETUP)
    assert "read through a signed address" in result.stdout
    assert buckets.writes.total() == 2
    assert not buckets.content("photos")
    assert not buckets.content("labels")


def test_other_cross_origin_rules_stay(buckets: GcsServer, run: Run) -> None:
    others = {"origin": ["https://www.example.org"], "method": ["PUT"]}
    buckets.storage.buckets["photos"]["cors"] = [others]
    run(*SETUP)
    assert buckets.storage.buckets["photos"]["cors"] == [CORS, others]


def test_several_origins_are_allowed(buckets: GcsServer, run: Run) -> None:
    run(*SETUP, "--origin", "https://labels.example.org/")
    assert buckets.storage.buckets["photos"]["cors"][0]["origin"] == [
        "http://localhost:8080",
        "https://labels.example.org",
    ]


@pytest.mark.parametrize(
    ("permission", "role"),
    [
        ("storage.buckets.get", "roles/storage.legacyBucketReader"),
        ("storage.buckets.update", "roles/storage.admin"),
        ("storage.objects.get", "roles/storage.objectViewer"),
        ("storage.objects.list", "roles/storage.objectViewer"),
        ("storage.objects.create", "roles/storage.objectCreator"),
        ("storage.objects.delete", "roles/storage.objectUser"),
    ],
)
def test_a_lacking_permission_comes_with_the_command_that_grants_it(
    permission: str, role: str, buckets: GcsServer, run: Run
) -> None:
    buckets.permissions = ALL_PERMISSIONS - {permission}
    result = run(*SETUP)
    assert result.exit_code == 3
    for bucket in ("photos", "labels"):
        command = (
            f"gcloud storage buckets add-iam-policy-binding gs://{bucket} "
            f"--member=serviceAccount:{EMAIL} --role={role}"
        )
        assert result.stdout.count(command + "\n") == 1


def test_who_may_not_create_buckets_is_told_the_projects_role(gcs: GcsServer, run: Run) -> None:
    gcs.permissions = ALL_PERMISSIONS - {"storage.buckets.create"}
    result = run(*SETUP)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert (
        f"gcloud projects add-iam-policy-binding {PROJECT} "
        f"--member=serviceAccount:{EMAIL} --role=roles/storage.admin"
    ) in result.stderr


def test_a_signature_that_google_does_not_accept_is_told(buckets: GcsServer, run: Run) -> None:
    buckets.signing_key = Key()
    result = run(*SETUP)
    assert result.exit_code == 3
    assert "a signed address gives HTTP 403 SignatureDoesNotMatch" in result.stdout
    assert not buckets.content("photos")


def test_a_bucket_of_somebody_else_is_told(gcs: GcsServer, run: Run) -> None:
    gcs.fault = lambda method, path: 409 if (method, path) == ("POST", "/storage/v1/b") else None
    result = run(*SETUP)
    assert result.exit_code == 1
    assert "gs://photos: the name is taken by another owner's bucket (HTTP 409)" in result.stderr


def test_without_a_project_no_bucket_can_be_created(
    gcs: GcsServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = gcs.key_file
    del fields["project_id"]
    use_key(monkeypatch, fields)
    result = run(*SETUP)
    assert result.exit_code == 1
    assert "--project" in result.stderr


@pytest.mark.parametrize(
    ("source", "target", "origin", "problem"),
    [
        ("gs://photos", "photos", "*", "the same bucket"),
        ("gs://photos/2024", "labels", "*", "a folder in a bucket"),
        ("gs://Photos", "labels", "*", "not the name of a bucket"),
        ("", "labels", "*", "not the name of a bucket"),
        ("photos", "labels", "localhost:8080", "not an origin"),
    ],
)
def test_arguments_that_cannot_work_reach_no_bucket(
    source: str, target: str, origin: str, problem: str, gcs: GcsServer, run: Run
) -> None:
    result = run("bucket", "setup", source, target, "--origin", origin)
    assert result.exit_code == 1
    assert problem in result.stderr
    assert not gcs.requests


def test_wrong_usage_has_an_exit_code_of_its_own(run: Run) -> None:
    assert run("bucket", "setup", "gs://photos").exit_code == 2


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("gs://labels", ("labels", "")),
        ("labels/", ("labels", "")),
        ("gs://labels/run/2004/", ("labels", "run/2004")),
    ],
)
def test_a_place_for_annotations_is_a_bucket_and_maybe_a_folder(
    address: str, found: tuple[str, str]
) -> None:
    parsed = parse_address(address)
    assert (parsed.bucket, parsed.name.strip("/")) == found


def test_a_place_without_a_bucket_is_refused() -> None:
    with pytest.raises(SettingsError, match="not the name of a bucket"):
        parse_address("gs:///run")
