"""The service account in ``GOOGLE_APPLICATION_CREDENTIALS_BASE64``."""

import base64
import binascii
import json
import os
import re
from typing import TYPE_CHECKING, Any, cast

from dotenv import dotenv_values
from pydantic import SecretStr

from ml_backend.errors import CredentialsError

if TYPE_CHECKING:
    from google.oauth2.service_account import Credentials

READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"
FULL_CONTROL = "https://www.googleapis.com/auth/devstorage.full_control"
VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS_BASE64"
REQUIRED_FIELDS = ("client_email", "private_key", "token_uri")
ENCODE_HINT = "make it with: base64 -w0 key.json"
NO_CREDENTIALS_HINT = f"set {VARIABLE}; {ENCODE_HINT}"


def variable_of_bucket(bucket: str) -> str:
    """Return the name of the variable that holds the service account for one bucket."""
    return f"{VARIABLE}_{re.sub('[^A-Z0-9]', '_', bucket.upper())}"


def bucket_keys() -> dict[str, SecretStr]:
    """Return the variables with a service account for one bucket, from environment or ``.env``."""
    found = {**dotenv_values(".env"), **os.environ}
    return {
        name: SecretStr(value)
        for name, value in found.items()
        if name.startswith(f"{VARIABLE}_") and value
    }


def decode_service_account(base64_text: SecretStr | str) -> dict[str, str]:
    """Decode and check a service-account key offline.

    Args:
        base64_text: JSON key file in base64; whitespace is ignored.

    Returns:
        Fields of the key file, for ``Credentials.from_service_account_info``.

    Raises:
        CredentialsError: The key is invalid; names the first step that failed, never the value.
    """
    if isinstance(base64_text, SecretStr):
        base64_text = base64_text.get_secret_value()
    info = _parse_json(_decode_base64(base64_text))
    fields = _check_fields(info)
    make_credentials(fields)
    return fields


def _decode_base64(text: str) -> bytes:
    if text.lstrip().startswith("{"):
        raise CredentialsError(f"{VARIABLE} is the JSON key itself, not base64", ENCODE_HINT)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise CredentialsError(f"{VARIABLE} is not base64", ENCODE_HINT) from None


def _parse_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise CredentialsError(
            f"{VARIABLE} is base64, but what it holds is not JSON", ENCODE_HINT
        ) from None


def _check_fields(info: Any) -> dict[str, str]:
    hint = "create a JSON key of a service account in the Google Cloud console (IAM, Keys)"
    if not isinstance(info, dict):
        raise CredentialsError(f"{VARIABLE} holds JSON, but not a JSON object", hint)
    if info.get("type") != "service_account":
        raise CredentialsError(f'{VARIABLE} is not a key of type "service_account"', hint)
    fields = {name: value for name, value in info.items() if isinstance(value, str) and value}
    missing = [name for name in REQUIRED_FIELDS if name not in fields]
    if missing:
        raise CredentialsError(f"{VARIABLE} is missing the text fields {', '.join(missing)}", hint)
    return fields


def make_credentials(fields: dict[str, str], scope: str = READ_ONLY) -> "Credentials":
    """Return credentials for Google Cloud Storage.

    Args:
        fields: Service-account key.
        scope: ``READ_ONLY`` or ``FULL_CONTROL``, within the account's own permissions.

    Raises:
        CredentialsError: The private key cannot be read.
    """
    # Imported here because it takes 10 MB of memory, which processes without a key save.
    from google.auth.exceptions import GoogleAuthError
    from google.oauth2.service_account import Credentials

    make = Credentials.from_service_account_info
    try:
        return cast("Credentials", make(fields, scopes=[scope]))  # type: ignore[no-untyped-call]
    except (GoogleAuthError, ValueError):
        raise CredentialsError(
            f"{VARIABLE}: private_key is not a readable RSA key",
            "download the key file again and encode it as it is, line breaks included",
        ) from None
