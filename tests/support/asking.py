"""Asking a running backend, and reading what it says of itself."""

import base64
import io
import json
from typing import Any

import httpx
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from synthetic.people import draw_figure
from tests.support.processes import Backend
from tests.support.repository import TEMPLATE
from tests.support.waiting import descendants

Json = dict[str, Any]

CONFIG = TEMPLATE.read_text()


def jpeg(seed: int = 0, height: int = 120, width: int = 80) -> bytes:
    """A drawn figure's picture; another for each seed."""
    file = io.BytesIO()
    Image.fromarray(draw_figure(seed, height, width).image).save(file, "JPEG")
    return file.getvalue()


def data_uri(data: bytes, kind: str = "jpeg") -> str:
    """A reference that holds the image itself."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def box(x: float = 20, y: float = 20, width: float = 50, height: float = 50) -> Json:
    """A smart rectangle around most of the image, in percent."""
    value = {"x": x, "y": y, "width": width, "height": height, "rectanglelabels": ["dress"]}
    return {"type": "rectanglelabels", "from_name": "box", "to_name": "image", "value": value}


def batch(*references: object) -> Json:
    """The body of a batch call, a task for each reference."""
    tasks = [{"id": i, "data": {"image": each}} for i, each in enumerate(references)]
    return {"tasks": tasks, "label_config": CONFIG, "params": {"context": None}}


def click(reference: object, *regions: Json) -> Json:
    """The body of an interactive call; without regions, with a box."""
    return batch(reference) | {"params": {"context": {"result": list(regions) or [box()]}}}


def ask(backend: Backend, body: Json) -> list[Any]:
    """One entry a task: a prediction, or nothing."""
    answer = httpx.post(f"{backend.url}/predict", json=body, timeout=120)
    assert answer.status_code == 200, answer.text
    results: list[Any] = answer.json()["results"]
    assert len(results) == len(body["tasks"])
    return results


def predicted(backend: Backend, *references: object) -> list[bool]:
    """Which images of a batch got a prediction."""
    return [entry != [] for entry in ask(backend, batch(*references))]


def lines(backend: Backend) -> list[Json]:
    """What the backend has logged, but for gunicorn's own lines."""
    found = (line for line in backend.log.read_text().splitlines() if line.startswith("{"))
    return [json.loads(line) for line in found]


def last_failure(backend: Backend) -> str:
    """References, kind and reason of the last task that failed."""
    line = next(line for line in reversed(lines(backend)) if line["event"] == "task_failed")
    return f"{line['references']} {line['error']}: {line['reason']}"


def counted(backend: Backend, outcome: str) -> float:
    """How many tasks had this outcome, as the metrics tell."""
    return total(backend.url, "segstudio_tasks_total", outcome=outcome)


def total(url: str, name: str, **labels: str) -> float:
    """The sum of a counter's values with these labels, as the backend at ``url`` tells them."""
    text = httpx.get(f"{url}/metrics", timeout=30).raise_for_status().text
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    found = [s for s in samples if s.name == name and labels.items() <= s.labels.items()]
    return sum(sample.value for sample in found)


def workers(backend: Backend) -> list[int]:
    """Process ids of those that answer."""
    return descendants(backend.process.pid)
