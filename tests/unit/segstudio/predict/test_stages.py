"""The stages import the backends only on the workers that run them."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_backend.deadline import Deadline
from ml_backend.images import ImageSource, TaskAccess
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.schemas import Prediction, Task
from segmentation_backend.models.base import SegmentationModel
from segmentation_backend.predictor import SegmentationPredictor
from segmentation_backend.settings import SegmentationSettings
from segstudio.predict.stages import Model, Segmenter, describe_model, load_images, make_results
from tests.support.http_server import Reply, Request, Server
from tests.support.pictures import png
from tests.support.ray_models import ByColour
from tests.support.scenes import data_uri
from tests.support.text_models import ByName


def test_the_stages_import_a_backend_only_where_they_run() -> None:
    names = "{'segmentation_backend', 'sam_backend', 'torch'} & {*sys.modules}"
    script = f"import sys, segstudio.predict.stages; print({names})"
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout == "set()\n"


def test_images_are_fetched_for_their_task_and_with_the_login_of_its_project(
    tmp_path: Path,
) -> None:
    def answer(request: Request) -> Reply:
        return Reply(body=png()) if "Authorization" in request.headers else Reply(401)

    with Server() as web:
        web.replies["/a.png"] = web.replies["/tasks/17/presign/"] = answer
        settings = SegmentationSettings(
            label_studio_url=web.url,
            label_studio_api_key="token",
            allowed_image_hosts=(web.host,),
            image_cache_dir=tmp_path,
        )
        batch = {
            "item": [0, 1],
            "reference": [f"{web.url}/a.png", "s3://photos/a.png"],
            "task": [16, 17],
        }
        access = TaskAccess(project=3, login=("anna", "p"))
        found = list(load_images(batch, settings, access))
        assert [each["reason"] for each in found] == [[""], [""]]
        assert [each["full"] for each in found] == [[(0, 0)], [(0, 0)]]
        assert [each["item"] for each in found] == [[0], [1]]
        tokens = {r.route: r.headers["Authorization"].split()[0] for r in web.requests}
        assert tokens == {"/a.png": "Basic", "/tasks/17/presign/": "Token"}


BRUSH = """<BrushLabels name="mask-{0}" toName="{0}"><Label value="red"/><Label value="hat"/>
  </BrushLabels>"""
CHOICES = """<Choices name="seen" toName="{}" choice="multiple"><Choice value="Dress"
  prompt="blue dress; red dress"/><Choice value="Grass" prompt="green"/><Choice value="Other"/>
  </Choices>"""


def shown(*controls: str, images: str = "a") -> str:
    tags = "".join(f'<Image name="{name}" value="$image"/>' for name in images)
    return f"<View>{tags}{''.join(controls)}</View>"


def picture(*colours: tuple[int, int, int]) -> str:
    """Draw a square of each colour."""
    image = np.zeros((40, 60, 3), np.uint8)
    for number, colour in enumerate(colours):
        image[10:30, 5 + 25 * number : 25 + 25 * number] = colour
    return data_uri(image)


OUTCOME = ("item", "image", "reason", "results")

PICTURES = [picture((220, 0, 0), (0, 220, 0)), picture(), picture((0, 220, 0))]


def in_bulk(model: SegmentationModel, xml: str, references: list[str]) -> list[Any]:
    """Predict with all stages, one after the other; the results of each task, None if it failed."""
    settings = SegmentationSettings()

    def load(_: SegmentationSettings) -> SegmentationModel:
        return model

    about = describe_model(load, settings, xml, None)
    assert isinstance(about, Model)
    images = [
        {"item": number, "image": order, "tag": tag, "page": -1, "reference": each, "task": 0}
        for number, each in enumerate(references)
        for order, tag in enumerate(about.tags)
    ]
    batch = {name: [row[name] for row in images] for name in images[0]} | {
        "data": [""] * len(images)
    }
    loaded = joined(load_images(batch, settings))
    found = joined(Segmenter(load, settings, xml)(loaded))
    results: dict[int, list[Any] | None] = {number: [] for number in range(len(references))}
    done = joined(make_results(found, about, settings, xml))
    for number, _, reason, shown in sorted(zip(*(done[n] for n in OUTCOME), strict=True)):
        before = results[number]
        results[number] = None if reason or before is None else [*before, *json.loads(shown)]
    return list(results.values())


def joined(rows: Iterator[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """Join batches of one row."""
    together: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        for name, values in row.items():
            together[name] += values
    return together


def by_the_backend(model: SegmentationModel, xml: str, references: list[str]) -> list[Any]:
    settings = SegmentationSettings()
    predictor = SegmentationPredictor(model, ImageSource(settings), settings)
    tasks = [Task(data={"image": each}) for each in references]
    config, deadline = parse_label_config(xml), Deadline.after(60)
    answers = predictor.predict(tasks, None, label_config=config, deadline=deadline)
    found = [each.model_dump() if isinstance(each, Prediction) else None for each in answers]
    return [each and each["result"] for each in found]


def without_ids(tasks: list[Any]) -> list[Any]:
    """Regions get ids by chance."""
    return [each and [{**result, "id": ""} for result in each] for each in tasks]


BOTH = shown(BRUSH.format("a"), CHOICES.format("a"))
TWO_TAGS = shown(BRUSH.format("a"), CHOICES.format("b"), BRUSH.format("b"), images="ab")


@pytest.mark.parametrize(
    ("model", "xml"),
    [
        (ByName(), BOTH),
        (ByName(), shown(CHOICES.format("a"))),
        (ByName(), TWO_TAGS),
        (ByColour(), BOTH),
        (ByColour(), TWO_TAGS),
    ],
    ids=["masks and choices", "choices alone", "one picture in two tags", "no text", "two tags"],
)
def test_in_bulk_an_image_gets_the_answers_that_the_backend_gives(
    model: SegmentationModel, xml: str
) -> None:
    references = [*PICTURES, "data:image/png;base64,broken"]
    bulk = in_bulk(model, xml, references)
    assert without_ids(bulk) == without_ids(by_the_backend(model, xml, references))
    chosen = [
        [each["value"]["choices"] for each in results if each["type"] == "choices"]
        for results in bulk[:-1]
    ]
    reads = isinstance(model, ByName)
    assert chosen == ([[["Dress", "Grass"]], [], [["Grass"]]] if reads else [[], [], []])
    assert bulk[-1] is None
