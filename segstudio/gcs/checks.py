"""Whether a bucket can show its images in Label Studio; nothing is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from google.cloud import storage  # type: ignore[import-untyped]

from segstudio.gcs.client import GcsConnection
from segstudio.gcs.cors import allowed_origins
from segstudio.gcs.objects import BucketError
from segstudio.gcs.signed_urls import read_signed


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: One word.
        good: Whether it is as it should be.
        told: What was seen.
        fix: The command that mends it.
    """

    what: str
    good: bool
    told: str
    fix: str = ""


def check_bucket(cloud: GcsConnection, bucket: str, label_studio: str) -> Iterator[Finding]:
    """Look at reading, CORS and signing.

    Args:
        cloud: The connection.
        bucket: Name of the bucket.
        label_studio: Its address; empty: unknown, then CORS is not looked at.
    """
    what = "read"
    try:
        first = _first(cloud, bucket)
        yield Finding(what, True, f"e.g. {first.name}" if first else "it is empty")
        what = "CORS"
        if label_studio:
            yield _cors(cloud, bucket, label_studio)
        what = "signing"
        if first:
            yield _signed(first)
    except BucketError as error:
        yield Finding(what, False, error.message, error.hint or _setup(bucket, label_studio))


def _first(cloud: GcsConnection, bucket: str) -> storage.Blob | None:
    with cloud.explained(bucket):
        blobs = cloud.client.list_blobs(bucket, max_results=1, **cloud.options)
        return next(iter(blobs), None)


def _cors(cloud: GcsConnection, name: str, label_studio: str) -> Finding:
    bucket = cloud.client.bucket(name)
    with cloud.explained(name):
        bucket.reload(**cloud.options)
    allowed = allowed_origins(bucket.cors)
    wanted = _origins(label_studio)
    if "*" in allowed or allowed & set(wanted):
        return Finding("CORS", True, f"allows {', '.join(sorted(allowed))}")
    return Finding("CORS", False, f"does not allow {wanted[0]}", _setup(name, label_studio))


def _signed(blob: storage.Blob) -> Finding:
    problem = read_signed(blob)
    if problem:
        return Finding("signing", False, problem, "segstudio credentials check")
    return Finding("signing", True, f"{blob.name} can be read through a signed address")


def _origins(label_studio: str) -> tuple[str, ...]:
    """What the browser may call it: this machine has two names."""
    parts = urlsplit(label_studio)
    here = ("localhost", "127.0.0.1")
    port = f":{parts.port}" if parts.port else ""
    hosts = here if parts.hostname in here else (parts.hostname,)
    return tuple(f"{parts.scheme}://{host}{port}" for host in hosts)


def _setup(bucket: str, label_studio: str) -> str:
    origin = _origins(label_studio)[0] if label_studio else "http://localhost:8080"
    return f"segstudio bucket setup gs://{bucket} gs://TARGET --origin {origin}"
