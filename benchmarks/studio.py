"""A stand-in for Label Studio: uploaded pictures, and what a browser makes it send."""

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
"""x and y in percent, and whether it is "this too"."""

LABEL_CONFIG: LabelConfig = parse_label_config(CONFIG)
PATIENCE = httpx.Timeout(150)


def jpeg(seed: int, height: int, width: int) -> bytes:
    """A drawn figure as a camera would keep it."""
    file = io.BytesIO()
    Image.fromarray(draw_figure(seed, height, width).image).save(file, "JPEG", quality=90)
    return file.getvalue()


@dataclass
class Studio:
    """Serves uploads.

    Attributes:
        server: That backends fetch them from.
    """

    server: FileServer
    _count: int = field(default=0)

    @property
    def url(self) -> str:
        """For ``LABEL_STUDIO_URL``."""
        return self.server.url

    def upload(self, content: bytes) -> str:
        """Take an image; its reference, which no earlier upload had."""
        self._count += 1
        path = f"/data/upload/1/{self._count:08}-picture.jpg"
        self.server.files[path] = content
        return path


@contextmanager
def open_studio() -> Iterator[Studio]:
    """Run one on a free port of this machine."""
    with FileServer() as server:
        yield Studio(server)


def task(reference: str) -> Task:
    """A task that shows an upload."""
    return Task(id=1, project=1, data={"image": reference})


def opened(*references: str) -> Json:
    """The body of the call that opening tasks makes."""
    tasks = [{"id": n, "project": 1, "data": {"image": r}} for n, r in enumerate(references, 1)]
    return {"tasks": tasks, "label_config": CONFIG, "params": {"context": None}}


def clicked(reference: str, points: Sequence[Point]) -> Json:
    """The body of the call that a click makes; earlier clicks go along."""
    return opened(reference) | {"params": {"context": context(points)}}


def context(points: Sequence[Point]) -> Json:
    """Clicks as Label Studio tells them."""
    return {"result": [_keypoint(*point) for point in points]}


def submitted(reference: str, regions: Sequence[Any]) -> Json:
    """The event of a submitted annotation."""
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
