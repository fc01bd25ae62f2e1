"""The stages import the backends only on the workers that run them."""

import re
import subprocess
import sys
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
from segstudio.predict.items import Item, Outcome
from segstudio.predict.pipeline import Planned, plan, tables
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


BROKEN = "data:image/png;base64,broken"
PICTURES = [picture((220, 0, 0), (0, 220, 0)), picture(), picture((0, 220, 0))]


def in_bulk(model: SegmentationModel, xml: str, tasks: list[dict[str, Any]]) -> list[Outcome]:
    """Predict with all stages, one after the other, in blocks of two images."""
    settings = SegmentationSettings()

    def load(_: SegmentationSettings) -> SegmentationModel:
        return model

    about = describe_model(load, settings, xml, None)
    assert isinstance(about, Model)
    config = parse_label_config(xml)
    planned = [plan(Item("", "", data), config, about.tags) for data in tasks]
    ready = [each for each in planned if isinstance(each, Planned)]
    segment = Segmenter(load, settings, xml)
    rows = [
        {name: values[0] for name, values in done.items()}
        for table in tables(ready, 2)
        for loaded in load_images(table.to_pydict(), settings)
        for found in segment(loaded)
        for done in make_results(found, about, settings, xml)
    ]
    outcomes = {
        id(each): each.outcome([row for row in rows if row["item"] == number], about)
        for number, each in enumerate(ready)
    }
    return [
        outcomes[id(each)] if isinstance(each, Planned) else Outcome(Item("", ""), None, str(each))
        for each in planned
    ]


def by_the_backend(model: SegmentationModel, xml: str, tasks: list[dict[str, Any]]) -> list[Any]:
    settings = SegmentationSettings()
    predictor = SegmentationPredictor(model, ImageSource(settings), settings)
    config, deadline = parse_label_config(xml), Deadline.after(60)
    asked = [Task(data=data) for data in tasks]
    answers = predictor.predict(asked, None, label_config=config, deadline=deadline)
    return [each.model_dump() if isinstance(each, Prediction) else None for each in answers]


def without_ids(predictions: list[Any]) -> list[Any]:
    """Regions get ids by chance."""
    return [
        each and {**each, "result": [{**region, "id": ""} for region in each["result"]]}
        for each in predictions
    ]


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
    tasks = [{"image": each} for each in (*PICTURES, BROKEN)]
    bulk: list[Any] = [each.prediction for each in in_bulk(model, xml, tasks)]
    assert without_ids(bulk) == without_ids(by_the_backend(model, xml, tasks))
    chosen = [
        [each["value"]["choices"] for each in prediction["result"] if each["type"] == "choices"]
        for prediction in bulk[:-1]
    ]
    reads = isinstance(model, ByName)
    assert chosen == ([[["Dress", "Grass"]], [], [["Grass"]]] if reads else [[], [], []])
    assert bulk[-1] is None


DYNAMIC = """<View><Image name="a" value="$image"/><Labels name="label" toName="a" value="$labels"/>
  <Brush name="mask" toName="a"/></View>"""
PAGES = shown(BRUSH.format("a"), CHOICES.format("a").replace("name=", 'perItem="true" name='))
SEVERAL: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "pages": (
        PAGES.replace('value="$image"', 'valueList="$images"'),
        [{"images": PICTURES}, {"images": [PICTURES[0], BROKEN]}, {"images": []}],
    ),
    "two images": (
        TWO_TAGS.replace("$image", "$front", 1).replace("$image", "$photo.back"),
        [
            {"front": PICTURES[0], "photo": {"back": PICTURES[2]}},
            {"front": PICTURES[0], "photo": {"back": BROKEN}},
            {"front": PICTURES[0]},
        ],
    ),
    "labels of the task": (
        DYNAMIC,
        [
            {"image": PICTURES[0], "labels": [{"value": "red"}]},
            {"image": PICTURES[0], "labels": [{"value": "green"}, {"value": "red"}]},
            {"image": PICTURES[0], "labels": [{"value": "Robe", "predicted_values": "dress"}]},
        ],
    ),
}


@pytest.mark.parametrize("model", [ByName(), ByColour()])
@pytest.mark.parametrize("case", SEVERAL)
def test_in_bulk_a_task_of_several_images_gets_the_answers_that_the_backend_gives(
    model: SegmentationModel, case: str
) -> None:
    xml, tasks = SEVERAL[case]
    bulk = in_bulk(model, xml, tasks)
    predictions: list[Any] = [each.prediction for each in bulk]
    assert without_ids(predictions) == without_ids(by_the_backend(model, xml, tasks))
    if case != "labels of the task":
        assert [bool(each) for each in predictions] == [True, False, False]
        assert bulk[1].reason.startswith(("a, page 2: ", "b: "))
        assert re.search("'images'|'photo.back'", bulk[2].reason)
    elif isinstance(model, ByName):
        labels = [
            {n for r in each["result"] for n in r["value"].get("labels", ())}
            for each in predictions
        ]
        assert labels[:2] == [{"red"}, {"green", "red"}]
