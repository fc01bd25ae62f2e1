"""Read-only checks of whether Label Studio can show the images in a bucket."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from google.cloud import storage  # type: ignore[import-untyped]

from segstudio.checks import CheckResult
from segstudio.gcs.client import GcsConnection
from segstudio.gcs.cors import allowed_origins
from segstudio.gcs.objects import BucketError
from segstudio.gcs.signed_urls import read_signed


def check_bucket(cloud: GcsConnection, bucket: str, label_studio: str) -> Iterator[CheckResult]:
    """Check reading, CORS and signing.

    Args:
        cloud: Connection to Google Cloud Storage.
        bucket: Bucket name.
        label_studio: URL of Label Studio; empty if unknown, which skips the CORS check.
    """
    subject = f"gs://{bucket} read"
    try:
        first = _first_object(cloud, bucket)
        yield CheckResult(subject, "ok", f"e.g. {first.name}" if first else "it is empty")
        subject = f"gs://{bucket} CORS"
        if label_studio:
            yield _check_cors(cloud, bucket, label_studio, subject)
        subject = f"gs://{bucket} signing"
        if first:
            yield _check_signing(first, subject)
    except BucketError as error:
        yield CheckResult(
            subject, "error", error.message, error.hint or _setup_command(bucket, label_studio)
        )


def _first_object(cloud: GcsConnection, bucket: str) -> storage.Blob | None:
    with cloud.explained(bucket):
        blobs = cloud.client.list_blobs(bucket, max_results=1, **cloud.options)
        return next(iter(blobs), None)


def _check_cors(cloud: GcsConnection, name: str, label_studio: str, subject: str) -> CheckResult:
    bucket = cloud.bucket(name)
    with cloud.explained(name):
        bucket.reload(**cloud.options)
    allowed, wanted = allowed_origins(bucket.cors), _browser_origins(label_studio)
    if "*" in allowed or allowed & set(wanted):
        return CheckResult(subject, "ok", f"allows {', '.join(sorted(allowed))}")
    fix = _setup_command(name, label_studio)
    return CheckResult(subject, "error", f"does not allow {wanted[0]}", fix)


def _check_signing(blob: storage.Blob, subject: str) -> CheckResult:
    problem = read_signed(blob)
    if problem:
        return CheckResult(subject, "error", problem, "segstudio credentials check")
    return CheckResult(subject, "ok", f"{blob.name} can be read through a signed address")


def _browser_origins(label_studio: str) -> tuple[str, ...]:
    """Return the origins of Label Studio in browsers: this machine has two names."""
    parts = urlsplit(label_studio)
    here = ("localhost", "127.0.0.1")
    port = f":{parts.port}" if parts.port else ""
    hosts = here if parts.hostname in here else (parts.hostname,)
    return tuple(f"{parts.scheme}://{host}{port}" for host in hosts)


def _setup_command(bucket: str, label_studio: str) -> str:
    origin = _browser_origins(label_studio)[0] if label_studio else "http://localhost:8080"
    return f"segstudio bucket setup gs://{bucket} gs://TARGET --origin {origin}"
