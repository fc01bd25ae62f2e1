"""One backend for most faults, with a Label Studio and a bucket that do as they are told."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.support.http_server import Reply, Server
from tests.support.processes import Backend, running_backend

TOKEN = "s3cretHead.s3cretBody.s3cretSign"
"""A personal access token, as far as anybody can see."""

IMAGE_SECONDS = 5
"""A fifth of it is for the end of the last try at a bucket, which is what shall be told."""


@dataclass
class Scene:
    """A backend, and what it fetches images from."""

    backend: Backend
    studio: Server
    bucket: Server
    _uploads: Iterator[int] = field(default_factory=lambda: iter(range(10_000)))

    def upload(self) -> str:
        """A reference to an upload that was never asked for before, so that no cache has it."""
        return f"/data/upload/1/{next(self._uploads)}.jpg"


def access_token() -> Reply:
    """What Label Studio gives for a personal access token."""
    return Reply(body=json.dumps({"access": "s3cretAccess"}).encode())


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    studio, bucket = Server(), Server()
    studio.replies["/api/token/refresh/"] = access_token()
    variables = {
        "LABEL_STUDIO_URL": studio.url,
        "LABEL_STUDIO_API_KEY": TOKEN,
        "STORAGE_EMULATOR_HOST": bucket.url,
        "IMAGE_SECONDS": str(IMAGE_SECONDS),
    }
    folder = tmp_path_factory.mktemp("faults")
    with running_backend("segmentation_backend", folder, **variables) as backend:
        yield Scene(backend, studio, bucket)
        log = backend.log.read_text()
    studio.stop()
    bucket.stop()
    assert "s3cret" not in log
    assert "Traceback" not in log
