"""Tasks that show two images, or several pages."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO  # type: ignore[import-untyped]

from tests.support.command_line import Run, records
from tests.support.drawn import HEIGHT, WIDTH, Entry, brush, choice, rectangle_mask
from tests.support.label_studio_server import LabelStudioServer, Task, annotation, task
from tests.support.pictures import data_uri

ANNA = "anna@example.org"
HAT, DRESS = rectangle_mask(20, 10, 5, 5), rectangle_mask(10, 5, 30, 20)

TWO = """<View><Image name="front" value="$front"/><Image name="back" value="$back"/>
  <BrushLabels name="mask" toName="front"><Label value="hat"/></BrushLabels>
  <BrushLabels name="behind" toName="back"><Label value="dress"/></BrushLabels>
  <Choices name="Sentiment" toName="front"><Choice value="Positive"/></Choices></View>"""

PAGES = """<View><Image name="image" valueList="$images"/>
  <BrushLabels name="mask" toName="image"><Label value="hat"/></BrushLabels></View>"""


def on(entry: Entry, image: str, page: int | None = None) -> Entry:
    item = {} if page is None else {"item_index": page}
    return {**entry, "to_name": image, "from_name": "behind" if image == "back" else "mask", **item}


def two(result: list[Entry], by: int = 1) -> Task:
    data = {"front": "gs://looks/1f.jpg", "back": "gs://looks/1b.jpg"}
    return {**task("1.jpg", annotation(by, *result, by=by)), "data": data}


@pytest.fixture
def both(label_studio: LabelStudioServer) -> int:
    hat, dress = on(brush("r1", "hat", HAT), "front"), on(brush("r2", "dress", DRESS), "back")
    return label_studio.add(TWO, [two([hat, dress])])


@pytest.fixture
def pages(label_studio: LabelStudioServer) -> int:
    result = [on(brush("r1", "hat", HAT), "image", 0), on(brush("r2", "hat", DRESS), "image", 2)]
    data = {"images": ["gs://looks/a.jpg", data_uri(HEIGHT, WIDTH), "gs://looks/c.jpg"]}
    return label_studio.add(PAGES, [{**task("1.jpg", annotation(1, *result)), "data": data}])


def export(run: Run, project: int, kind: str) -> None:
    words = ("--project", project, "--format", kind, "--out", f"out.{kind}", "--json")
    result = run("export", *words)
    assert result.exit_code == 0, result.output
    assert records(result)[-1]["regions"] == 2


def test_both_images_of_a_task_are_exported(run: Run, both: int) -> None:
    export(run, both, "coco")
    coco = COCO("out.coco")
    images = {image["file_name"]: image for image in coco.dataset["images"]}
    assert {name: image["coco_url"] for name, image in images.items()} == {
        "1.jpg": "gs://looks/1f.jpg",
        "1-back.jpg": "gs://looks/1b.jpg",
    }
    for name, mask in (("1.jpg", HAT), ("1-back.jpg", DRESS)):
        (found,) = coco.loadAnns(coco.getAnnIds(imgIds=[images[name]["id"]]))
        assert (coco.annToMask(found) == mask).all()


def test_every_page_of_a_task_is_exported_and_the_one_between_is_empty(
    run: Run, pages: int
) -> None:
    export(run, pages, "masks")
    for name, mask in (("1", HAT), ("1-3", DRESS), ("1-2", np.zeros((HEIGHT, WIDTH), bool))):
        drawn = np.asarray(Image.open(f"out.masks/{ANNA}/{name}.png"))
        assert ((drawn == 1) == mask).all()
    with Path("out.masks/masks.csv").open(newline="") as file:
        paths = [row["mask_path"] for row in csv.DictReader(file)]
    assert sorted(paths) == [f"{ANNA}/1-2.png", f"{ANNA}/1-3.png", f"{ANNA}/1.png"]


def test_the_pages_of_a_task_are_images_of_coco(run: Run, pages: int) -> None:
    export(run, pages, "coco")
    images = json.loads(Path("out.coco").read_text())["images"]
    assert [image["file_name"] for image in images] == ["1.jpg", "1-2.jpg", "1-3.jpg"]
    assert images[2]["coco_url"] == "gs://looks/c.jpg"


def test_annotators_are_compared_on_each_image(
    run: Run, both: int, label_studio: LabelStudioServer
) -> None:
    hat, dress = on(brush("r1", "hat", HAT), "front"), on(brush("r2", "dress", HAT), "back")
    positive = {**choice("Sentiment", "Positive"), "to_name": "front"}
    other = label_studio.add(TWO, [two([hat, dress, positive], by=2)])
    result = run("agreement", "--project", f"{both},{other}", "--json")
    assert result.exit_code == 0, result.output
    outcome = records(result)[-1]
    assert {each["label"]: each["pairs"] for each in outcome["masks"]} == {"hat": 1, "dress": 1}
    assert [each["identifier"] for each in outcome["most_disagreement"]] == ["1.jpg#back", "1.jpg"]
