"""The command line as its users have it, and a Google Cloud Storage for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from segstudio.cli.main import app
from tests.support.command_line import Run, use_key
from tests.support.gcs_server import GcsServer, Key
from tests.support.label_studio_server import TOKEN, LabelStudioServer


@pytest.fixture(scope="session")
def key() -> Key:
    return Key()


@pytest.fixture
def gcs(key: Key, monkeypatch: pytest.MonkeyPatch) -> Iterator[GcsServer]:
    """A bucket service that the environment points to, with its service account's key.

    google-auth asks iamcredentials.googleapis.com of each account, in the background and whatever
    the bucket's address; a proxy that is not there keeps that on this machine.
    """
    with GcsServer(key) as server:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("TRUST_PROXY_ENV", "true")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        use_key(monkeypatch, server.key_file)
        yield server


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs ``segstudio`` with the arguments, in an empty folder without a ``.env``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def photos(gcs: GcsServer, run: Run) -> GcsServer:
    """An empty bucket, in a folder of an empty CSV file."""
    gcs.add_bucket("photos")
    return gcs


@pytest.fixture
def label_studio(monkeypatch: pytest.MonkeyPatch, run: Run) -> Iterator[LabelStudioServer]:
    """A Label Studio that the settings name."""
    with LabelStudioServer() as server:
        monkeypatch.setenv("LABEL_STUDIO_URL", server.url)
        monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
        yield server
