import base64
import json
import socket
from pathlib import Path

import pytest

from tests.support.command_line import Run, records, use_key
from tests.support.gcs_server import EMAIL, GcsServer

VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS_BASE64"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_an_encoded_key_is_one_line_that_check_accepts(gcs: GcsServer, run: Run) -> None:
    text = json.dumps(gcs.key_file, indent=2)
    Path("key.json").write_text(text)
    result = run("credentials", "encode", "key.json")
    assert result.exit_code == 0
    assert result.stdout == encoded(text) + "\n"
    Path("line.txt").write_text(result.stdout)
    result = run("credentials", "check", "line.txt", "--project", "runway-project")
    assert result.exit_code == 0
    assert EMAIL in result.stdout
    assert "Google issued a token" in result.stdout


def test_the_variable_is_checked_where_no_file_is_named(gcs: GcsServer, run: Run) -> None:
    assert records(run("credentials", "check", "--json")) == [
        {"client_email": EMAIL, "project_id": "runway-project", "token": "ok"}
    ]


def test_offline_asks_google_nothing(gcs: GcsServer, run: Run) -> None:
    result = run("credentials", "check", "--offline")
    assert result.exit_code == 0
    assert not gcs.tokens


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "is empty"),
        ("{}", "is the JSON key itself"),
        ("no base64!", "is not base64"),
        (encoded("no json"), "is not JSON"),
        (encoded("[]"), "not a JSON object"),
        (encoded('{"type": "authorized_user"}'), "service_account"),
        (encoded('{"type": "service_account"}'), "is missing the text fields client_email"),
    ],
)
def test_the_step_that_fails_is_named_in_one_line(
    line: str, problem: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, line)
    result = run("credentials", "check")
    assert result.exit_code == 1
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_file_of_something_else_is_not_base64(run: Run) -> None:
    Path("line.txt").write_bytes(b"\xff\xfe\0")
    result = run("credentials", "check", "line.txt")
    assert result.exit_code == 1
    assert "is not base64" in result.stderr


def test_a_damaged_private_key_is_named_and_not_shown(
    gcs: GcsServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_key(monkeypatch, gcs.key_file | {"private_key": "-----BEGIN sesame"})
    result = run("credentials", "check")
    assert result.exit_code == 1
    assert "private_key is not a readable RSA key" in result.stderr
    assert "sesame" not in result.output


def test_a_key_of_another_project_is_refused(gcs: GcsServer, run: Run) -> None:
    result = run("credentials", "check", "--project", "archive")
    assert result.exit_code == 1
    assert "a key of the project runway-project, not of archive" in result.stderr


def test_a_deleted_key_is_told_in_googles_words(gcs: GcsServer, run: Run) -> None:
    gcs.key_deleted = True
    result = run("credentials", "check")
    assert result.exit_code == 1
    assert f"Google refuses the key of {EMAIL}: invalid_grant: Invalid JWT Sig" in result.stderr
    assert result.stderr.count("\n") == 1


def test_errors_are_json_where_json_is_asked_for(gcs: GcsServer, run: Run) -> None:
    gcs.key_deleted = True
    result = run("credentials", "check", "--json")
    assert result.exit_code == 1
    assert records(result)[0]["error"]["type"] == "bucket"
    assert result.stderr == ""


def test_google_out_of_reach_is_one_line(
    gcs: GcsServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    use_key(monkeypatch, gcs.key.file(f"http://127.0.0.1:{port}/token"))
    result = run("credentials", "check")
    assert result.exit_code == 1
    assert f"http://127.0.0.1:{port}/token does not answer" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_key_file_that_is_not_there_is_named(run: Run) -> None:
    result = run("credentials", "encode", "key.json")
    assert result.exit_code == 1
    assert "cannot read key.json: No such file" in result.stderr


def test_what_is_no_key_is_not_encoded(run: Run) -> None:
    Path("key.json").write_text('{"installed": {"client_id": "an OAuth client"}}')
    result = run("credentials", "encode", "key.json")
    assert result.exit_code == 1
    assert "service_account" in result.stderr
    assert result.stdout == ""
