"""Service-account keys: the base64 line that the programs read, and its check with Google."""

import base64
from functools import partial
from pathlib import Path

import requests
from google.auth.exceptions import RefreshError, TransportError
from google.auth.transport.requests import Request

from ml_backend.errors import CredentialsError
from ml_backend.http_sessions import prepare_session
from ml_backend.images.credentials import (
    FULL_CONTROL,
    VARIABLE,
    decode_service_account,
    make_credentials,
)
from segstudio.gcs.errors import refused
from segstudio.gcs.iam import Member

_TIMEOUT = 20


def encode_key(path: Path) -> str:
    """Return the base64 line of a JSON key file, checked offline.

    Raises:
        CredentialsError: The file is unreadable or not a key; names the step that failed.
    """
    try:
        line = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise CredentialsError(f"cannot read {path}: {error.strerror}") from None
    decode_service_account(line)
    return line


def check_key(line: str, project: str | None) -> dict[str, str]:
    """Decode a base64 line, and check that it belongs to the project, if one is given.

    Raises:
        CredentialsError: The key is invalid; names the first step that failed, never the key.
    """
    fields = decode_service_account(line)
    named = fields.get("project_id", "none")
    if project is not None and named != project:
        raise CredentialsError(
            f"{VARIABLE} is a key of the project {named}, not of {project}",
            f"use a key of a service account of {project}, or another --project",
        )
    return fields


def fetch_token(fields: dict[str, str]) -> None:
    """Request a token from Google with the key, as every use of it does.

    Raises:
        BucketError: Google refuses the key.
        CredentialsError: Google is unreachable.
    """
    credentials = make_credentials(fields, FULL_CONTROL)
    session = requests.Session()
    prepare_session(session)
    try:
        credentials.refresh(partial(Request(session), timeout=_TIMEOUT))
    except RefreshError as error:
        raise refused(error, Member(fields["client_email"])) from None
    except TransportError:
        raise CredentialsError(
            f"{fields['token_uri']} does not answer",
            "check that it is reachable from here; --offline skips this step",
        ) from None
