"""Errors of Google Cloud Storage with suggested fixes."""

import re
from typing import Any

from google.auth.exceptions import RefreshError
from requests import RequestException

from ml_backend.images.gcs_objects import STORAGE_ERRORS, GcsFailure, explain_failure
from segstudio.gcs.iam import Member, grant
from segstudio.gcs.objects import BucketError

FAILURES = (*STORAGE_ERRORS, RequestException)
"""Exceptions of google-cloud-storage and of the library below it."""

_NOT_ACCEPTED = (
    "the key may be deleted, its account disabled, or the clock of this machine wrong; "
    "see: segstudio credentials check"
)
_PERMISSION = re.compile(r"storage\.(?:buckets|objects)\.\w+")


def explain(error: Exception, bucket: str, member: Member) -> BucketError:
    """Explain why a bucket is unusable, without showing credentials."""
    failure = explain_failure(error)
    if isinstance(failure.cause, RefreshError):
        return refused(failure.cause, member)
    message, hint = _describe_bucket_error(failure, bucket, member)
    return BucketError(f"gs://{bucket}: {message}", hint, failure.status)


def refused(error: RefreshError, member: Member) -> BucketError:
    """Explain why Google refuses a token for the member's key."""
    reason = str(error.args[0]).rstrip(".") if error.args else "no reason given"
    return BucketError(f"Google refuses the key of {member.email}: {reason}", _NOT_ACCEPTED)


def _describe_bucket_error(failure: GcsFailure, bucket: str, member: Member) -> tuple[str, str]:
    """Return message and hint."""
    if failure.status is None:
        return failure.message, failure.hint
    reason = _google_reason(failure.cause)
    message = f"{failure.message}: {reason}" if reason else failure.message
    if failure.status == 403:
        return message, "; ".join(grant(bucket, member, _PERMISSION.findall(reason)))
    if failure.status >= 500:
        return message, "Google Cloud Storage has a problem; run the command again later"
    return {
        400: (message, failure.hint),
        401: ("Google does not accept the token (HTTP 401)", _NOT_ACCEPTED),
        404: (
            "the bucket does not exist (HTTP 404)",
            "check its name; segstudio bucket setup creates buckets",
        ),
        409: ("the name is taken by another owner's bucket (HTTP 409)", "choose another name"),
        429: (
            "too many requests (HTTP 429)",
            "run the command again later, or with fewer --workers",
        ),
    }.get(failure.status, (message, ""))


def _google_reason(error: Any) -> str:
    """Return Google's reason; empty if the response has another format."""
    try:
        return str(error.response.json()["error"]["message"]).strip().rstrip(".")
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
