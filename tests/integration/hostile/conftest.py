"""Both backends among enemies, and proof at the end that nothing was given away or broken."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.asking import jpeg, lines, workers
from tests.support.http_server import Listener, Reply, Server
from tests.support.processes import Backend, running_backend

TOKEN = "s3cret" + "0" * 34
PASSWORD = "s3cretPassword"
MEDIA = re.compile(
    r"/data/upload/[^?]+|/data/local-files/?\?d=.*|/tasks/\d+/presign/\?fileuri=[\w=-]+"
)


@dataclass(frozen=True)
class Scene:
    """The two backends and what lies around them.

    Attributes:
        studio: Label Studio, where the token may go.
        web: A web server that both backends may fetch from, as from any public one.
        forbidden: Listens where nobody may connect to.
        root: Local files; next to it is a folder with a picture that must never be seen.
    """

    segmentation: Backend
    sam: Backend
    studio: Server
    web: Server
    forbidden: Listener
    root: Path

    @property
    def backends(self) -> tuple[Backend, Backend]:
        return self.segmentation, self.sam


@pytest.fixture(scope="package")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Local files, with links into and out of the folder."""
    folder = tmp_path_factory.mktemp("files")
    root, outside = folder / "root", folder / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "inside.jpg").write_bytes(jpeg())
    (outside / "secret.jpg").write_bytes(jpeg())
    (root / "within.jpg").symlink_to(root / "inside.jpg")
    (root / "link.jpg").symlink_to(outside / "secret.jpg")
    (root / "relative.jpg").symlink_to("../outside/secret.jpg")
    (root / "folder").symlink_to(outside)
    (root / "circle.jpg").symlink_to("circle.jpg")
    return root


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory, files: Path) -> Iterator[Scene]:
    studio, web, forbidden = Server(), Server(), Listener()
    web.replies["/good.jpg"] = Reply(body=jpeg())
    variables = {
        "LABEL_STUDIO_URL": studio.url,
        "LABEL_STUDIO_HOST": "https://labels.example.org/ls",
        "LABEL_STUDIO_API_KEY": TOKEN,
        "ALLOWED_IMAGE_HOSTS": web.host,
        "LOCAL_FILES_DOCUMENT_ROOT": str(files),
        "IMAGE_CACHE_MB": "0",
        "PREWARM_AHEAD": "0",
        "IMAGE_SECONDS": "20",
    }
    folders = [tmp_path_factory.mktemp(name) for name in ("segmentation", "sam")]
    with (
        running_backend("segmentation_backend", folders[0], **variables) as segmentation,
        running_backend("sam_backend", folders[1], **variables) as sam,
    ):
        before = [workers(backend) for backend in (segmentation, sam)]
        yield Scene(segmentation, sam, studio, web, forbidden, files)
        assert [workers(backend) for backend in (segmentation, sam)] == before
        for backend in (segmentation, sam):
            _gave_nothing_away(backend)
    for server in (studio, web):
        server.stop()
    assert not forbidden.was_reached()
    forbidden.close()
    assert all(MEDIA.fullmatch(r.path) for r in studio.requests if "Authorization" in r.headers)
    assert not any("Authorization" in request.headers for request in web.requests)


def _gave_nothing_away(backend: Backend) -> None:
    log = backend.log.read_text()
    assert "s3cret" not in log
    assert "Traceback" not in log
    assert [line for line in lines(backend) if line["event"] == "unexpected"] == []
    assert max(map(len, log.splitlines())) < 20_000
