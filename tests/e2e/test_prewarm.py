"""A task that is opened in Label Studio is prepared for clicks, and so are those that come next."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml_backend.labelstudio.client import LabelStudio
from segstudio.labelstudio.ml_backends import NO_LOGIN, BackendPair, connect_backends
from segstudio.labelstudio.prewarm import Sam
from segstudio.local.demo_project import TEMPLATE, add_photographs, find_or_create
from segstudio.local.images import find_photographs
from synthetic.people import draw_figure
from tests.e2e.test_lifecycle import backend_urls
from tests.support.asking import total
from tests.support.studio import Studio
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1200)

TASKS = "segstudio_prewarm_tasks_total"


def new_tasks(api: LabelStudio, folder: Path, count: int) -> tuple[int, list[dict[str, Any]]]:
    """A project, and its tasks by their number, of pictures that no backend has seen."""
    for seed in range(count):
        picture = draw_figure(7_000_000 + seed, 300, 200).image
        Image.fromarray(np.ascontiguousarray(picture)).save(folder / f"{seed}.png")
    project = find_or_create(api, None, TEMPLATE.read_text())
    add_photographs(api, project, find_photographs(folder), lambda *_: None)
    return project, sorted(api.tasks(project, "id,data"), key=lambda task: int(task["id"]))


def test_the_opened_task_and_the_unlabeled_ones_after_it_are_prepared_and_no_other(
    studio: Studio, tmp_path: Path
) -> None:
    segmentation, sam = backend_urls(studio)
    with studio.api() as api:
        project, tasks = new_tasks(api, tmp_path, 5)
        connect_backends(api, project, BackendPair(segmentation, sam))
        _, opened, labeled, *unlabeled = (task["id"] for task in tasks)
        api.call("POST", f"/api/tasks/{labeled}/annotations/", json={"result": []})

        before = total(sam, TASKS, outcome="made")
        studio.request("GET", f"/api/tasks/{opened}")
        wanted = before + 1 + len(unlabeled)
        eventually(lambda: total(sam, TASKS, outcome="made") == wanted, seconds=60)

    outcomes = Sam(sam, NO_LOGIN).prewarm(tasks, TEMPLATE.read_text())
    assert [each.outcome for each in outcomes] == ["made", "kept", "made", "kept", "kept"]
