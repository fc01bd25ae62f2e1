"""A project with suggestions, as people work on one: what a report is about."""

from typing import Any

from ml_backend.labelstudio.control_tasks import CONTROL
from tests.support.drawn import CONFIG, HEIGHT, WIDTH, brush, rectangle_mask
from tests.support.label_studio_server import LabelStudioServer, Task, annotation, task
from tests.support.pictures import data_uri

HAT, DRESS = rectangle_mask(20, 10, 5, 5), rectangle_mask(10, 5, 30, 20)
LOWER = rectangle_mask(10, 15, 30, 20)
EARLIER = "2026-11-23T01:00:00Z"

KEPT, CORRECTED, RELABELLED, DELETED = (
    [brush("s1", "dress", DRESS), brush("s2", "hat", HAT)],
    [brush("s1", "dress", LOWER), brush("s2", "hat", HAT)],
    [brush("s1", "bag", DRESS), brush("s2", "hat", HAT)],
    [brush("s1", "dress", DRESS), brush("new", "bag", rectangle_mask(45, 30, 9, 9))],
)
"""What becomes of a suggested dress and hat; in the last, the hat goes and a bag comes."""


def prediction(version: str, *result: dict[str, Any], id_: int = 1, at: str = EARLIER) -> Task:
    return {"id": id_, "model_version": version, "created_at": at, "result": list(result)}


def suggested(number: int, submitted: list[dict[str, Any]], version: str, seconds: float) -> Task:
    """A task that was opened with a suggestion."""
    made = task(
        f"{number}.jpg",
        {**annotation(number, *submitted, by=1 + number % 2), "lead_time": seconds},
        image=data_uri(HEIGHT, WIDTH, number),
    )
    return {**made, "predictions": [prediction(version, *KEPT, id_=number)]}


def unaided(number: int, seconds: float) -> Task:
    """A control task."""
    made = task(f"c{number}.jpg", {**annotation(1000 + number, *KEPT), "lead_time": seconds})
    made["meta"][CONTROL] = "true"
    return {**made, "predictions": [prediction(CONTROL, id_=1000 + number)]}


def add_labeled_project(server: LabelStudioServer, control: int = 25) -> int:
    """Add 60 tasks with suggestions of two model versions, control tasks, and two that are new."""
    first, second = [DELETED, CORRECTED, RELABELLED, KEPT, KEPT, KEPT], [RELABELLED, *[KEPT] * 3]
    tasks = [suggested(n, first[n % 6], "segmentation-one", 10 + n % 5) for n in range(30)]
    tasks += [suggested(n, second[n % 4], "segmentation-two", 10 + n % 5) for n in range(30, 60)]
    tasks += [unaided(n, 20 + n % 5) for n in range(control)]
    tasks += [task("skipped.jpg", annotation(2000, skipped=True)), task("new.jpg")]
    return server.add(CONFIG, tasks)
