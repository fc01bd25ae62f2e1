"""``segstudio credentials``: encode and check the service account's key."""

from pathlib import Path
from typing import Annotated

import typer

from ml_backend.errors import CredentialsError
from ml_backend.images.credentials import VARIABLE
from ml_backend.serving.settings import read_settings
from segstudio.cli.console import reporting
from segstudio.cli.options import EXIT_CODES, JsonOption, command_app
from segstudio.gcs.client import GoogleSettings
from segstudio.gcs.service_account import check_key, encode_key, fetch_token

app = command_app()


@app.callback()
def group() -> None:
    """Encode and check the service account's key."""


@app.command(epilog=EXIT_CODES)
def encode(
    key: Annotated[Path, typer.Argument(help="JSON key file of a service account.")],
    as_json: JsonOption = False,
) -> None:
    """Print the base64 line for GOOGLE_APPLICATION_CREDENTIALS_BASE64.

    For the file .env:
    echo "GOOGLE_APPLICATION_CREDENTIALS_BASE64=$(segstudio credentials encode key.json)" >> .env
    """
    with reporting(as_json) as report:
        line = encode_key(key)
        report.print(line)
        report.result({VARIABLE: line})


@app.command(epilog=EXIT_CODES)
def check(
    line: Annotated[
        typer.FileText | None,
        typer.Argument(
            help="File with the base64 line, - for stdin; default: the variable.", errors="replace"
        ),
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Google Cloud project that the key must belong to.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not request a token from Google.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the base64 line in GOOGLE_APPLICATION_CREDENTIALS_BASE64, or in a file.

    Steps: base64, JSON, its fields, the private key, the project, a token from Google. The first
    failing step is reported; no secret is shown.
    """
    with reporting(as_json) as report:
        secret = read_settings(GoogleSettings).google_application_credentials_base64
        text = line.read() if line else secret.get_secret_value() if secret else ""
        if not text.strip():
            raise CredentialsError(f"{VARIABLE} is empty", "segstudio credentials encode key.json")
        fields = check_key(text, project)
        report.print(f"base64, JSON, fields and private key are valid: {fields['client_email']}")
        if not offline:
            fetch_token(fields)
            report.print("Google issued a token for it")
        report.result(
            {
                "client_email": fields["client_email"],
                "project_id": fields.get("project_id"),
                "token": None if offline else "ok",
            }
        )
