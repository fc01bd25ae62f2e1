"""Controls, pages and texts in a real browser: a smart tool, submit, export."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from flask import Flask
from playwright.sync_api import Page
from pycocotools.coco import COCO  # type: ignore[import-untyped]
from werkzeug.serving import make_server

from ml_backend.images import ImageSettings, ImageSource
from ml_backend.labelstudio.region_pixels import region_rle
from ml_backend.labelstudio.results import Region, parse_result
from ml_backend.lru import LruCache
from ml_backend.serving.app import create_app
from ml_backend.serving.settings import BackendSettings
from sam_backend.concepts import ConceptFinder
from sam_backend.predictor import SamPredictor
from segmentation_backend.predictor import SegmentationPredictor
from segmentation_backend.settings import RegionSettings
from segstudio.labelstudio.ml_backends import BackendPair
from segstudio.projects.templates import read_template
from synthetic.people import Figure
from tests.support.command_line import Run
from tests.support.labeling_page import LabelingPage, Spot
from tests.support.photographs import Mask, box_around, iou
from tests.support.scenes import FillModel, data_uri
from tests.support.studio import Studio
from tests.support.text_models import ByName, ColourConcepts
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1200)


def one_list(control: str, image: str = 'value="$image"') -> str:
    return f"""<View><Image name="image" {image}/>
      <View className="garments">
        <Labels name="label" toName="image"><Label value="skirt"/></Labels></View>
      {control}<Rectangle name="box" toName="image" smart="true"/></View>"""


CONTROLS = {
    "bitmask": ('<Bitmask name="mask" toName="image" smart="false"/>', 0.8),
    "polygon": ('<Polygon name="mask" toName="image"/>', 0.8),
    "vector": ('<Vector name="mask" toName="image" closable="true"/>', 0.8),
    "ellipse": ('<Ellipse name="mask" toName="image"/>', 0.5),
}
"""Control → the tag, and the least IoU of its region with a skirt."""

BRUSH = '<Brush name="mask" toName="image" smart="false"/>'


def open_task(page: Page, studio: Studio, project: int, task: int) -> LabelingPage:
    labeling = LabelingPage(page, f"{studio.url}/projects/{project}/data", task)
    labeling.wait_for_regions()
    return labeling


def submitted(studio: Studio, task: int) -> tuple[Region, ...]:
    (annotation,) = studio.request("GET", f"/api/tasks/{task}")["annotations"]
    return parse_result(annotation["result"]).regions


def pixels(regions: tuple[Region, ...]) -> Mask:
    together: Mask = np.any([region_rle(each).mask for each in regions], axis=0)
    return together


def exported(run: Run, project: int) -> list[tuple[str, Mask]]:
    """Category and mask of everything that an export of a project has."""
    result = run("export", "--project", project, "--format", "coco", "--out", "labels.json")
    assert result.exit_code == 0, result.output
    coco = COCO("labels.json")
    names = {each["id"]: each["name"] for each in coco.dataset["categories"]}
    return [
        (names[each["category_id"]], coco.annToMask(each).astype(bool))
        for each in coco.dataset["annotations"]
    ]


def exported_union(run: Run, project: int) -> Mask:
    found = exported(run, project)
    assert {name for name, _ in found} == {"skirt"}
    together: Mask = np.any([mask for _, mask in found], axis=0)
    return together


@pytest.mark.parametrize("control", CONTROLS)
def test_a_smart_box_becomes_a_region_of_the_control_and_is_exported(
    page: Page, studio: Studio, figure: Figure, run: Run, control: str
) -> None:
    tag, least = CONTROLS[control]
    project, task = studio.new_project(control, one_list(tag), "plain")
    labeling = open_task(page, studio, project, task)
    assert set(labeling.labels) == {"skirt"}
    labeling.delete_all()
    labeling.switch_on_smart_tools()
    skirt = figure.masks["skirt"]
    labeling.smart_box("skirt", *box_around(skirt))
    labeling.accept()
    assert set(labeling.labels) == {"skirt"}
    labeling.submit()
    regions = submitted(studio, task)
    assert {each.shape for each in regions} == {control}
    assert iou(pixels(regions), skirt) > least
    assert iou(exported_union(run, project), skirt) > least


def test_in_the_classic_template_each_list_has_its_keys(
    page: Page, studio: Studio, figure: Figure, run: Run
) -> None:
    config = read_template("runway_fashion_classic")
    project, task = studio.new_project("Classic", config, "plain")
    labeling = open_task(page, studio, project, task)
    labeling.delete_all()
    labeling.switch_on_smart_tools()
    skirt = figure.masks["skirt"]
    labeling.smart_box_by_key("Shift+Q", *box_around(skirt))
    labeling.accept()
    assert labeling.labels == ["skirt"]
    labeling.submit()
    assert iou(pixels(submitted(studio, task)), skirt) > 0.8
    assert iou(exported_union(run, project), skirt) > 0.8


def test_a_box_of_three_points_becomes_a_mask(page: Page, studio: Studio, figure: Figure) -> None:
    project, task = studio.new_project("Turned box", one_list(BRUSH), "plain")
    labeling = open_task(page, studio, project, task)
    labeling.delete_all()
    labeling.switch_on_smart_tools()
    skirt = figure.masks["skirt"]
    first, last = box_around(skirt, 0.03)
    # From corner to corner of a slightly turned box.
    corners = Spot(first.x, first.y + 0.02), Spot(last.x, first.y - 0.01), Spot(last.x, last.y)
    labeling.smart_turned_box("skirt", *corners)
    labeling.accept()
    labeling.submit()
    assert iou(pixels(submitted(studio, task)), skirt) > 0.7


def test_each_page_has_its_predictions_and_its_own_answer(
    page: Page, studio: Studio, figure: Figure, run: Run
) -> None:
    pages = one_list(BRUSH, 'valueList="$images"')
    images = [studio.reference("rotated"), studio.reference("plain")]
    project, task = studio.new_project("Pages", pages, {"images": images})
    labeling = open_task(page, studio, project, task)
    (prediction,) = studio.request("GET", f"/api/tasks/{task}")["predictions"]
    assert {each["item_index"] for each in prediction["result"]} == {0, 1}
    labeling.delete_all()
    labeling.turn_page(1)
    labeling.switch_on_smart_tools()
    skirt = figure.masks["skirt"]
    labeling.smart_box("skirt", *box_around(skirt))
    labeling.accept()
    labeling.submit()
    regions = submitted(studio, task)
    assert {each.item for each in regions} == {1}
    assert iou(pixels(regions), skirt) > 0.8
    assert iou(exported_union(run, project), skirt) > 0.8


# --- a model that answers like SAM 3 ---

NAMED = f"""<View><Image name="image" value="$image"/>
  <View className="garments"><Labels name="label" toName="image">
    <Label value="red shoe"/><Label value="Bag" prompt="green bag"/></Labels></View>
  {BRUSH}<Rectangle name="box" toName="image" smart="true"/>
  <Choices name="objects" toName="image" choice="multiple">
    <Choice value="Shoes" prompt="red shoe"/><Choice value="Hat" prompt="blue hat"/></Choices>
  <View className="prompt"><TextArea name="prompt" toName="image" editable="true"/></View></View>"""


def scene() -> np.ndarray:
    """Draw two red shoes and a green bag."""
    image = np.full((480, 640, 3), 60, np.uint8)
    image[400:450, 100:200] = image[400:450, 300:400] = (220, 0, 0)
    image[100:250, 450:600] = (0, 220, 0)
    return image


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an app on a port of loopback, once it is ready; gives its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        eventually(lambda: app.test_client().get("/readyz").status_code == 200)
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def readers(tmp_path: Path) -> Iterator[BackendPair]:
    """Both backends with models that find what they are told in words."""
    images = ImageSource(ImageSettings(image_cache_dir=tmp_path))
    segmentation = SegmentationPredictor(ByName(), images, RegionSettings())
    finder = ConceptFinder(ColourConcepts(), LruCache(1 << 24))
    sam = SamPredictor(FillModel(), images, LruCache(1 << 24), finder)
    with ExitStack() as stack:
        apps: list[Any] = [
            create_app(lambda: segmentation, BackendSettings()),
            create_app(lambda: sam, BackendSettings()),
        ]
        yield BackendPair(*(stack.enter_context(served(app)) for app in apps))


def test_a_box_drawn_as_an_example_suggests_all_that_looks_like_it(
    page: Page, studio: Studio, readers: BackendPair, run: Run
) -> None:
    like = NAMED.replace('name="box"', 'name="box" exemplar="true"')
    project, task = studio.new_project("Examples", like, {"image": data_uri(scene())}, readers)
    labeling = open_task(page, studio, project, task)
    labeling.delete_all()
    labeling.switch_on_smart_tools()
    labeling.smart_box("red shoe", Spot(0.14, 0.81), Spot(0.33, 0.96))  # around the left shoe
    labeling.accept()
    assert labeling.labels == ["red shoe", "red shoe"]
    labeling.submit()
    masks = [mask for _, mask in exported(run, project)]
    assert [mask.sum() for mask in masks] == [5000, 5000]
    assert np.array_equal(masks[0] | masks[1], scene()[:, :, 0] > 100)


def test_things_are_suggested_by_the_names_of_their_labels_and_by_what_is_typed(
    page: Page, studio: Studio, readers: BackendPair, run: Run
) -> None:
    project, task = studio.new_project("Names", NAMED, {"image": data_uri(scene())}, readers)
    labeling = open_task(page, studio, project, task)
    assert labeling.labels == ["red shoe", "red shoe", "Bag"], "two shoes are two regions"
    assert labeling.choices == ["Shoes"]
    labeling.delete("red shoe")
    labeling.delete("red shoe")
    labeling.switch_on_smart_tools()
    labeling.type_prompt("red shoes")
    labeling.accept()
    assert sorted(labeling.labels) == ["Bag", "red shoe", "red shoe"]
    labeling.submit()
    (annotation,) = studio.request("GET", f"/api/tasks/{task}")["annotations"]
    answers = {each["from_name"]: each["value"] for each in annotation["result"]}
    assert answers["objects"] == {"choices": ["Shoes"]}
    shoes = [mask for name, mask in exported(run, project) if name == "red shoe"]
    assert [mask.sum() for mask in shoes] == [5000, 5000]
    assert np.array_equal(shoes[0] | shoes[1], scene()[:, :, 0] > 100)
