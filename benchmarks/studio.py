"""Stand-in for Label Studio: uploaded pictures, and the requests that a browser causes."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from ml_backend.labelstudio.schemas import Task
from synthetic.people import draw_figure
from tests.support.asking import CONFIG
from tests.support.file_server import FileServer

Json = dict[str, Any]
Point = tuple[float, float, bool]
"""x and y in percent, and whether the click is positive."""

LABEL_CONFIG: LabelConfig = parse_label_config(CONFIG)
PATIENCE = httpx.Timeout(150)


def jpeg(seed: int, height: int, width: int) -> bytes:
    """Return a drawn figure as a JPEG like a camera's."""
    file = io.BytesIO()
    Image.fromarray(draw_figure(seed, height, width).image).save(file, "JPEG", quality=90)
    return file.getvalue()


@dataclass
class Studio:
    """Server of uploads.

    Attributes:
        server: HTTP server for the backends.
    """

    server: FileServer
    _count: int = field(default=0)

    @property
    def url(self) -> str:
        """Address for ``LABEL_STUDIO_URL``."""
        return self.server.url

    def upload(self, content: bytes) -> str:
        """Store an image; return its unique reference."""
        self._count += 1
        path = f"/data/upload/1/{self._count:08}-picture.jpg"
        self.server.files[path] = content
        return path


@contextmanager
def open_studio() -> Iterator[Studio]:
    """Run a server on a free port of this machine."""
    with FileServer() as server:
        yield Studio(server)


def task(reference: str) -> Task:
    """Return a task that shows an upload."""
    return Task(id=1, project=1, data={"image": reference})


def opened(*references: str) -> Json:
    """Return the request body for opening tasks."""
    tasks = [{"id": n, "project": 1, "data": {"image": r}} for n, r in enumerate(references, 1)]
    return {"tasks": tasks, "label_config": CONFIG, "params": {"context": None}}


def clicked(reference: str, points: Sequence[Point]) -> Json:
    """Return the request body for a click, which includes earlier clicks."""
    return opened(reference) | {"params": {"context": context(points)}}


def context(points: Sequence[Point]) -> Json:
    """Return clicks in Label Studio's format."""
    return {"result": [_keypoint(*point) for point in points]}


def submitted(reference: str, regions: Sequence[Any]) -> Json:
    """Return the event of a submitted annotation."""
    return {
        "action": "ANNOTATION_CREATED",
        "annotation": {"id": 1, "task": 1, "project": 1, "result": list(regions)},
        "task": {"id": 1, "project": 1, "data": {"image": reference}},
        "project": {"id": 1, "label_config": CONFIG},
    }


def _keypoint(x: float, y: float, positive: bool) -> Json:
    return {
        "type": "keypointlabels",
        "from_name": "point",
        "to_name": "image",
        "is_positive": positive,
        "value": {"x": x, "y": y, "width": 0.3, "keypointlabels": ["dress"]},
    }
