"""What Google Cloud Storage says, in words for people, each with what to do."""

import re
from typing import Any

from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud.storage.exceptions import DataCorruption  # type: ignore[import-untyped]
from requests import RequestException

from ml_backend.images.credentials import VARIABLE
from ml_backend.images.gcs_objects import STORAGE_ERRORS, cause_of, status_of
from segstudio.gcs.iam import Member, grant
from segstudio.gcs.objects import BucketError

FAILURES = (*STORAGE_ERRORS, RequestException)
"""What google-cloud-storage raises, and the library below it."""

NO_CREDENTIALS = f"set {VARIABLE}: segstudio credentials encode key.json makes its value"

_NOT_ACCEPTED = (
    "the key may be deleted, its account disabled, or the clock of this machine wrong; "
    "see: segstudio credentials check"
)
_PERMISSION = re.compile(r"storage\.(?:buckets|objects)\.\w+")


def explain(error: Exception, bucket: str, member: Member) -> BucketError:
    """Say what happened to a bucket; the words hold nothing of the credentials."""
    cause = cause_of(error)
    if isinstance(cause, DefaultCredentialsError):
        return BucketError("there are no Google credentials", NO_CREDENTIALS)
    if isinstance(cause, RefreshError):
        return refused(cause, member)
    if (status := status_of(cause)) is not None:
        what, hint = _say(status, _reason(cause), bucket, member)
        return BucketError(f"gs://{bucket}: {what}", hint, status)
    if isinstance(cause, DataCorruption):
        return BucketError(f"gs://{bucket}: an upload arrived damaged", "run the command again")
    return BucketError(
        f"gs://{bucket}: Google Cloud Storage does not answer ({type(cause).__name__})",
        "check that storage.googleapis.com can be reached from here, then run the command again",
    )


def refused(error: RefreshError, member: Member) -> BucketError:
    """Google gives no token for the member's key."""
    reason = str(error.args[0]).rstrip(".") if error.args else "no reason given"
    return BucketError(f"Google refuses the key of {member.email}: {reason}", _NOT_ACCEPTED)


def _say(status: int, reason: str, bucket: str, member: Member) -> tuple[str, str]:
    """What happened, and what to do."""
    shown = f"HTTP {status}: {reason}" if reason else f"HTTP {status}"
    if status == 403:
        return shown, "; ".join(grant(bucket, member, _PERMISSION.findall(reason)))
    if status >= 500:
        return shown, "Google Cloud Storage has a problem; run the command again later"
    return {
        401: ("Google does not accept the token (HTTP 401)", _NOT_ACCEPTED),
        404: (
            "there is no such bucket (HTTP 404)",
            "check its name; segstudio bucket setup makes buckets",
        ),
        409: ("the name belongs to somebody else's bucket (HTTP 409)", "choose another name"),
        429: (
            "it is asked too often (HTTP 429)",
            "run the command again later, or with fewer --workers",
        ),
    }.get(status, (shown, ""))


def _reason(error: Any) -> str:
    """Google's own words; empty where the answer is not in Google's format."""
    try:
        return str(error.response.json()["error"]["message"]).strip().rstrip(".")
    except (AttributeError, KeyError, TypeError, ValueError):
        return ""
