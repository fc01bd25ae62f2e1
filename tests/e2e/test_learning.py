"""A project with labels that no model knows learns them from twenty annotations, by itself."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Page

from ml_backend.labelstudio.brush_rle import decode_rle
from ml_backend.labelstudio.client import LabelStudio, NewProject
from segmentation_backend.learning.store import project_key
from segstudio.labelstudio.ml_backends import BackendPair, connect_backends
from segstudio.local.demo_project import add_photographs
from segstudio.local.images import find_photographs
from tests.e2e.test_lifecycle import backend_urls
from tests.support.command_line import Run
from tests.support.labeling_page import LabelingPage, LabelingStream
from tests.support.own_labels import CONFIG, brush_result, draw_labeled
from tests.support.studio import Studio
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1800)

ANNOTATED, LEFT = 20, 6
LEARNING_SECONDS = 600  # on a machine that does much else


@dataclass
class Team:
    """A project of drawn things, and who labels them.

    Attributes:
        studio: Label Studio with both backends and the learner.
        api: Its client.
        id: Project ID.
        seeds: Task → seed of its picture.
    """

    studio: Studio
    api: LabelStudio
    id: int
    seeds: dict[int, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.studio.url}/projects/{self.id}/data"

    @property
    def served(self) -> str:
        """The version that the segmentation backend serves the project with."""
        segmentation, _ = backend_urls(self.studio)
        project = str(project_key(self.api.project(self.id)))
        answer = httpx.get(f"{segmentation}/versions", params={"project": project}, timeout=60)
        return str(answer.json()["versions"][0])

    def annotate(self, tasks: list[int]) -> None:
        for id_ in tasks:
            _, masks = draw_labeled(self.seeds[id_])
            body = {"result": brush_result(masks), "lead_time": 5}
            self.api.call("POST", f"/api/tasks/{id_}/annotations/", json=body)

    def predictions(self, task: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api.call(
            "GET", "/api/predictions", params={"task": task}
        )
        return found

    def versions(self, task: int) -> set[str]:
        return {each["model_version"] for each in self.predictions(task)}

    def iou(self, task: int) -> float:
        """Mean IoU of a task's newest prediction with what is drawn there."""
        _, drawn = draw_labeled(self.seeds[task])
        found = {
            each["value"]["brushlabels"][0]: decode_mask(each)
            for each in self.predictions(task)[-1]["result"]
        }
        nothing = np.zeros_like(next(iter(drawn.values())))
        both = [(found.get(label, nothing), mask) for label, mask in drawn.items()]
        return float(np.mean([(a & b).sum() / (a | b).sum() for a, b in both]))


def decode_mask(region: dict[str, Any]) -> npt.NDArray[np.bool_]:
    size = region["original_height"], region["original_width"]
    return decode_rle(region["value"]["rle"], *size)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("things")
    for seed in range(ANNOTATED + LEFT):
        Image.fromarray(draw_labeled(seed)[0]).save(folder / f"{seed:02}.png")
    return folder


def team(studio: Studio, api: LabelStudio, pictures: Path) -> Team:
    """A project whose labels no model knows, connected to both backends."""
    id_ = api.create_project(NewProject("Own labels", CONFIG))
    add_photographs(api, id_, find_photographs(pictures), lambda *_: None)
    connect_backends(api, id_, BackendPair(*backend_urls(studio)))
    tasks = api.tasks(id_, "id,data")
    seeds = {int(task["id"]): int(Path(task["data"]["Name"]).stem) for task in tasks}
    return Team(studio, api, id_, seeds)


@pytest.fixture(scope="module")
def learned(studio: Studio, pictures: Path) -> Iterator[Team]:
    """A project in which twenty pictures are annotated, once it is served by its own model."""
    with studio.api() as api:
        found = team(studio, api, pictures)
        shipped = found.served
        assert all(not found.predictions(id_) for id_ in found.seeds)
        found.annotate(list(found.seeds)[:ANNOTATED])
        eventually(lambda: found.served != shipped, seconds=LEARNING_SECONDS)
        assert found.served.startswith(f"learned-{found.id}-1-")
        yield found


def test_the_next_task_opens_with_masks_of_the_teams_labels_in_stream_and_quick_view(
    learned: Team, page: Page
) -> None:
    unfinished = list(learned.seeds)[ANNOTATED:]
    eventually(
        lambda: all(learned.versions(id_) == {learned.served} for id_ in unfinished),
        seconds=LEARNING_SECONDS,
    )
    assert np.mean([learned.iou(id_) for id_ in unfinished]) > 0.5

    quick = LabelingPage(page, learned.url, unfinished[1])
    quick.wait_for_regions()
    assert set(quick.labels) <= {"ball", "crate"}

    stream = LabelingStream(page, learned.url, unfinished[0])
    stream.wait_for_task(unfinished[0])
    assert set(stream.labels) <= {"ball", "crate"}


def test_finished_tasks_stay_untouched(learned: Team) -> None:
    for id_ in list(learned.seeds)[:ANNOTATED]:
        assert learned.predictions(id_) == []


def test_rollback_gives_unfinished_tasks_back_to_the_shipped_model(learned: Team, run: Run) -> None:
    mine = learned.served
    listed = run("learn", "list", "--project", learned.id).stdout
    assert mine in listed
    told = run("learn", "rollback", "--project", learned.id)
    assert told.exit_code == 0, told.stderr
    eventually(lambda: learned.served != mine, seconds=10)
    unfinished = list(learned.seeds)[ANNOTATED:]
    eventually(lambda: not any(map(learned.versions, unfinished)), seconds=LEARNING_SECONDS)
    assert run("learn", "use", "--project", learned.id, mine).exit_code == 0
    eventually(lambda: learned.served == mine, seconds=10)


def create_uncertain(learned: Team, run: Run, folder: Path) -> Team:
    """The same pictures in a project whose stream begins with the lowest scores, by command."""
    (folder / "own.xml").write_text(CONFIG)
    rows = [
        f"{learned.seeds[task['id']]},{task['data']['image']}\n"
        for task in learned.api.tasks(learned.id, "id,data")
    ]
    (folder / "pictures.csv").write_text("".join(["ID,image\n", *rows]))
    segmentation, sam = backend_urls(learned.studio)
    words = {
        "template": folder / "own.xml",
        "title": "Least certain first",
        "tasks": folder / "pictures.csv",
        "image-column": "image",
        "identifier-column": "ID",
        "sampling": "uncertainty",
        "segmentation": segmentation,
        "sam": sam,
    }
    order = [word for name, value in words.items() for word in (f"--{name}", value)]
    made = run("project", "create", *order, "--json")
    assert made.exit_code == 0, made.output
    id_ = json.loads(made.stdout.splitlines()[-1])["projects"][0]["id"]
    tasks = learned.api.tasks(id_, "id,meta")
    seeds = {int(task["id"]): int(task["meta"]["identifier"]) for task in tasks}
    return Team(learned.studio, learned.api, id_, seeds)


def test_uncertainty_sampling_begins_with_what_the_model_is_least_sure_of(
    learned: Team, run: Run, tmp_path: Path
) -> None:
    found = create_uncertain(learned, run, tmp_path)
    assert titles(found) == [found.served, "Smart tools"]
    found.annotate(list(found.seeds)[:ANNOTATED])
    told = run("learn", "--project", found.id)
    assert f"promoted learned-{found.id}-1-" in told.stdout, told.stdout + told.stderr
    assert titles(found) == [found.served, "Smart tools"]
    assert found.api.project(found.id).model_version == found.served

    scores = {id_: found.predictions(id_)[-1]["score"] for id_ in list(found.seeds)[ANNOTATED:]}
    assert len(set(scores.values())) == LEFT
    first = found.api.call("GET", f"/api/projects/{found.id}/next")
    assert first["id"] == min(scores, key=lambda id_: scores[id_])


def titles(found: Team) -> list[str]:
    return [each.title for each in found.api.connections(found.id).values()]
