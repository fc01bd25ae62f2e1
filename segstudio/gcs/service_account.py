"""Service-account keys: the base64 line that the programs read, and whether Google takes one."""

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
    """The base64 line of a JSON key file, checked without any network.

    Raises:
        CredentialsError: The file cannot be read, or is no key; names the step.
    """
    try:
        line = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise CredentialsError(f"cannot read {path}: {error.strerror}") from None
    decode_service_account(line)
    return line


def check_key(line: str, project: str | None) -> dict[str, str]:
    """Decode a base64 line, and see that it is of the project, if one is given.

    Raises:
        CredentialsError: Names the first step that failed, never the key.
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
    """Ask Google for a token with the key, as every use of it does.

    Raises:
        BucketError: Google refuses the key.
        CredentialsError: Google cannot be reached.
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
            "is it reachable from here? --offline leaves this step out",
        ) from None
