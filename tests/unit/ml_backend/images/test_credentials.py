"""A bad GOOGLE_APPLICATION_CREDENTIALS_BASE64 names the step that failed and shows no secret."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ml_backend.errors import CredentialsError
from ml_backend.images import ImageSettings, decode_service_account


def pem(key: Any) -> str:
    return str(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        "ascii",
    )


KEY = {
    "type": "service_account",
    "project_id": "fashion",
    "client_email": "labels@fashion.iam.gserviceaccount.com",
    "private_key": pem(rsa.generate_private_key(65537, 2048)),
    "token_uri": "https://oauth2.googleapis.com/token",
}


PUBLIC = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in KEY.items() if name not in names}


@pytest.mark.parametrize("wrap", [str, SecretStr])
def test_a_key_file_in_base64_is_decoded(wrap: Callable[[str], str]) -> None:
    assert decode_service_account(wrap(encoded(KEY))) == KEY


def test_line_breaks_of_the_base64_tool_do_no_harm() -> None:
    lines = base64.encodebytes(json.dumps(KEY).encode()).decode()
    assert decode_service_account(f"\n {lines}\r\n") == KEY


@pytest.mark.parametrize(
    ("value", "step"),
    [
        ("", "not JSON"),
        ("key.json!", "not base64"),
        ("clé", "not base64"),
        (json.dumps(KEY), "JSON key itself"),
        (base64.b64encode(b"hello").decode(), "not JSON"),
        (base64.b64encode(b"\xff\xfe").decode(), "not JSON"),
        (base64.b64encode(b"[" * 100_000).decode(), "not JSON"),
        (encoded([KEY]), "not a JSON object"),
        (encoded({**KEY, "type": "authorized_user"}), 'not a key of type "service_account"'),
        (encoded(without("type")), 'not a key of type "service_account"'),
        (
            encoded(without("client_email", "token_uri")),
            "is missing the text fields client_email",
        ),
        (encoded({**KEY, "private_key": 5}), "is missing the text fields private_key"),
        (encoded({**KEY, "private_key": "s3cret"}), "private_key is not a readable RSA key"),
        (encoded({**KEY, "private_key": KEY["private_key"][:500]}), "not a readable RSA key"),
        (encoded({**KEY, "private_key": PUBLIC}), "private_key is not a readable RSA key"),
    ],
)
def test_the_step_that_failed_is_named(value: str, step: str) -> None:
    with pytest.raises(CredentialsError, match="GOOGLE_APPLICATION_CREDENTIALS_BASE64") as caught:
        decode_service_account(value)
    assert step in caught.value.message
    assert caught.value.hint
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_bad_key_stops_the_program(settings: Callable[..., ImageSettings]) -> None:
    with pytest.raises(CredentialsError, match="not base64"):
        settings(google_application_credentials_base64="%%%")


def test_settings_do_not_show_the_key(settings: Callable[..., ImageSettings]) -> None:
    made = settings(google_application_credentials_base64=encoded(KEY))
    assert encoded(KEY)[:40] not in repr(made) + str(made) + made.model_dump_json()


@given(st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
def test_whatever_the_value_only_the_promised_error_is_raised(value: str) -> None:
    with pytest.raises(CredentialsError):
        decode_service_account(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(list(KEY)), json_values))
def test_wrong_types_in_any_field_raise_the_promised_error(changes: dict[str, Any]) -> None:
    value = encoded({**KEY, "private_key": "none", **changes})
    with pytest.raises(CredentialsError):
        decode_service_account(value)
