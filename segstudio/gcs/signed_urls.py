"""Check that browsers can load images of a bucket as Label Studio serves them: by signed URLs."""

import uuid
from datetime import timedelta
from xml.etree import ElementTree as ET

import httpx
from defusedxml.ElementTree import fromstring
from google.auth.credentials import Signing
from google.cloud import storage  # type: ignore[import-untyped]

from ml_backend.http_clients import http_client
from ml_backend.images.credentials import NO_CREDENTIALS_HINT
from segstudio.gcs.client import TIMEOUT, GcsConnection
from segstudio.gcs.objects import BucketError

_CONTENT = b"written by segstudio bucket setup, which removes it again"
_LIFETIME = timedelta(minutes=5)
_CONNECT, _READ = TIMEOUT


def try_signed_url(cloud: GcsConnection, bucket: storage.Bucket) -> str:
    """Write an object, read it through a signed URL, and delete it.

    Returns:
        Human-readable problem with signing; empty if it works.

    Raises:
        BucketError: The object cannot be written or deleted, or the address does not respond.
    """
    if not isinstance(cloud.client._credentials, Signing):
        return f"these credentials have no private key to sign with; {NO_CREDENTIALS_HINT}"
    blob = bucket.blob(f"segstudio-probe-{uuid.uuid4()}")
    with cloud.explained(bucket.name):
        blob.upload_from_string(_CONTENT, if_generation_match=0, **cloud.options)
        try:
            return read_signed(blob, _CONTENT)
        finally:
            bucket.delete_blob(blob.name, generation=blob.generation, **cloud.options)


def read_signed(blob: storage.Blob, content: bytes | None = None) -> str:
    """Read an object as a browser does, through a signed URL.

    Args:
        blob: Object to read.
        content: Expected content; None: any.

    Returns:
        Human-readable problem; empty if it works.

    Raises:
        BucketError: The address does not respond.
    """
    url = blob.generate_signed_url(version="v4", expiration=_LIFETIME)
    try:
        with http_client(timeout=httpx.Timeout(_READ, connect=_CONNECT)) as client:
            answer = client.get(url)
    except httpx.HTTPError as error:
        raise BucketError(
            f"gs://{blob.bucket.name}: a signed address does not answer ({type(error).__name__})",
            "check that it is reachable from here",
        ) from error
    if answer.is_success and content in (None, answer.content):
        return ""
    return f"a signed address gives HTTP {answer.status_code} {_code(answer.content)}".rstrip()


def _code(body: bytes) -> str:
    """Return the name of an error in responses of Google's XML API."""
    try:
        return fromstring(body).findtext("Code") or ""
    except ET.ParseError:
        return ""
