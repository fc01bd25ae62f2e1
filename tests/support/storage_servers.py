"""Cloud storages on this machine: moto as S3, and Microsoft's Azurite (``make emulators``)."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from segstudio.settings import UpSettings
from tests.support.repository import ROOT
from tests.support.waiting import eventually

EMULATORS = ROOT / ".emulators"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_HOST = f"{AZURE_ACCOUNT}.blob.core.windows.net"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Account and key that Azurite's documentation publishes."""

_UPLOAD = """
import sys
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
url, key, container, name, path = sys.argv[1:]
service = BlobServiceClient(url, credential=key, connection_verify=False)
try:
    service.create_container(container)
except ResourceExistsError:
    pass
with open(path, "rb") as file:
    service.get_blob_client(container, name).upload_blob(file, overwrite=True)
"""


@dataclass(frozen=True)
class S3:
    """An S3 server."""

    url: str

    def put(self, bucket: str, name: str, path: Path) -> None:
        """Write an object; the bucket is made if it is not there."""
        httpx.put(f"{self.url}/{bucket}").raise_for_status()
        httpx.put(f"{self.url}/{bucket}/{name}", content=path.read_bytes()).raise_for_status()


@dataclass(frozen=True)
class AzureBlobs:
    """A blob storage; it answers under the account's public name with TLS."""

    port: int

    def put(self, container: str, name: str, path: Path) -> None:
        """Write a blob with Microsoft's library, which Label Studio's environment has."""
        python = ROOT / UpSettings().label_studio_venv / "bin" / "python"
        url = f"https://127.0.0.1:{self.port}/{AZURE_ACCOUNT}"
        words = [url, AZURE_KEY, container, name, str(path)]
        environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
        command = [str(python), "-W", "ignore", "-c", _UPLOAD, *words]
        subprocess.run(command, check=True, env=environment)


@contextmanager
def running_s3(port: int, folder: Path) -> Iterator[S3]:
    """Start moto's server on a port of this machine."""
    program = EMULATORS / "bin" / "moto_server"
    with _running([str(program), "-H", "127.0.0.1", "-p", str(port)], folder / "moto.log"):
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _answers(url), seconds=90)
        yield S3(url)


@contextmanager
def running_azure(port: int, certificate: Path, folder: Path) -> Iterator[AzureBlobs]:
    """Start Azurite on a port of this machine, with a certificate and its key in one file."""
    text = certificate.read_text()
    start = text.index("-----BEGIN CERTIFICATE")
    (folder / "key.pem").write_text(text[:start])
    (folder / "own.pem").write_text(text[start:])
    main = EMULATORS / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    options = {
        "blobHost": "127.0.0.1",
        "blobPort": str(port),
        "location": str(folder),
        "cert": str(folder / "own.pem"),
        "key": str(folder / "key.pem"),
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    with _running(["node", str(main), *words, *flags], folder / "azurite.log"):
        eventually(lambda: _answers(f"https://127.0.0.1:{port}"), seconds=90)
        yield AzureBlobs(port)


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=5, verify=False)
    except httpx.HTTPError:
        return False
    return True
