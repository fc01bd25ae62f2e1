"""Typed prompts and examples through the ML API, with a model that finds colours by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.prompts import parse_context
from sam_backend.concepts import concepts_in, missing_phrases
from tests.support.sam_calls import Json, body, box, click, make_app, make_predictor, mask_of, typed
from tests.support.scenes import LABEL_CONFIG, FillModel, data_uri
from tests.support.text_models import ColourConcepts

LABELS = '<Label value="red shoe"/><Label value="Bag" prompt="green bag"/><Label value="Hat"/>'
TEXT = '<TextArea name="prompt" toName="image" editable="true"/>'
STATUS = '<TextArea name="status" toName="image" smart="false" editable="true"/>'
ONE_LIST = f"""<View><Image name="image" value="$image"/>
  <Labels name="label" toName="image">{LABELS}</Labels><Brush name="brush" toName="image"/>
  <Rectangle name="box" toName="image" smart="true"/>
  <Rectangle name="like" toName="image" exemplar="true"/>{TEXT}{STATUS}</View>"""
BRUSHES = f"""<View><Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image">{LABELS}</BrushLabels>
  <RectangleLabels name="box" toName="image" exemplar="true">{LABELS}</RectangleLabels>
  {TEXT}{STATUS}</View>"""
TYPED_ALONE = f"""<View><Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image" smart="false">{LABELS}</BrushLabels>{TEXT}</View>"""

Ask = Callable[..., list[Json]]


def scene() -> np.ndarray:
    """Draw two red shoes and a green bag."""
    image = np.full((96, 128, 3), 30, np.uint8)
    image[70:90, 10:30] = image[70:90, 50:70] = (220, 0, 0)
    image[20:50, 90:120] = (0, 220, 0)
    return image


SCENE = data_uri(scene())


@pytest.fixture
def concepts() -> ColourConcepts:
    return ColourConcepts()


@pytest.fixture
def client(concepts: ColourConcepts, tmp_path: Path) -> FlaskClient:
    predictor = make_predictor(FillModel(), tmp_path, concepts=concepts)
    assert predictor.reads_text
    return make_app(predictor).test_client()


def asking(client: FlaskClient) -> Ask:
    def ask(*regions: Json, label_config: str = ONE_LIST, data: Json | None = None) -> list[Json]:
        sent = body(SCENE, *regions, label_config=label_config)
        if data:
            sent["tasks"][0]["data"] = data
        answer = client.post("/predict", json=sent)
        assert answer.status_code == 200, answer.text
        (prediction,) = answer.json["results"]  # type: ignore[index]
        return prediction["result"]  # type: ignore[no-any-return]

    return ask


@pytest.fixture
def ask(client: FlaskClient) -> Ask:
    return asking(client)


def labels(results: list[Json]) -> list[str]:
    return [each["value"]["labels"][0] for each in results if each["type"] == "labels"]


def test_each_thing_that_a_text_names_is_a_suggestion_with_its_label(ask: Ask) -> None:
    results = ask(typed("hat", "red shoes; bag in green"))
    assert [each["type"] for each in results] == ["brush", "labels"] * 2 + ["brush"]
    assert labels(results) == ["red shoe", "red shoe"]
    assert len({each["id"] for each in results}) == 3
    left, right, bag = (mask_of(each) for each in results if each["type"] == "brush")
    assert np.array_equal(left | right, scene()[:, :, 0] > 100)
    assert np.array_equal(bag, scene()[:, :, 1] > 100)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("green bag", "Bag"),
        ("bags; ", "Bag"),
        ("Small Green BAGS", "Bag"),
        ("red shoe", "red shoe"),
        ("old red shoes", "red shoe"),
        ("hats", "Hat"),
        ("shoe", None),
        ("hat stand", None),
    ],
)
def test_a_phrase_gets_the_label_that_it_names(text: str, label: str | None) -> None:
    context = parse_context({"result": [typed(text)]})
    (concept,) = concepts_in(context, parse_label_config(BRUSHES))
    assert concept.target.label == label


def test_where_there_is_one_label_everything_gets_it() -> None:
    one = BRUSHES.replace(LABELS, '<Label value="Thing"/>')
    context = parse_context({"result": [typed("red; car")]})
    assert [each.target.label for each in concepts_in(context, parse_label_config(one))] == [
        "Thing",
        "Thing",
    ]


def test_a_phrase_that_names_no_label_gets_none(ask: Ask) -> None:
    (region,) = ask(typed("a green thing"), label_config=BRUSHES)
    assert region["type"] == "brushlabels"
    assert "brushlabels" not in region["value"]


def test_phrases_that_found_nothing_are_named(ask: Ask) -> None:
    (status,) = ask(typed("blue car"))
    assert status["value"]["text"] == ["nothing found for: blue car"]
    *regions, status = ask(typed("blue car; red shoe; lamp"))
    assert labels(regions) == ["red shoe", "red shoe"]
    assert status["value"]["text"] == ["nothing found for: blue car, lamp"]


def test_once_everything_is_found_the_text_about_missing_phrases_is_cleared(ask: Ask) -> None:
    ask(typed("red shoe; lamp"))
    *regions, status = ask(typed("red shoe"))
    assert labels(regions) == ["red shoe", "red shoe"]
    assert status["value"]["text"] == []


def test_an_example_that_nothing_resembles_is_no_missing_phrase() -> None:
    context = parse_context({"result": [box(7, 70, 18, 26, label="Hat")]})
    assert missing_phrases(concepts_in(context, parse_label_config(BRUSHES)), []) == []


def test_a_text_is_answered_where_there_is_no_smart_tool(ask: Ask) -> None:
    results = ask(typed("red shoe"), label_config=TYPED_ALONE)
    assert [each["value"]["brushlabels"] for each in results] == [["red shoe"], ["red shoe"]]


def test_an_image_is_encoded_once_for_all_texts(ask: Ask, concepts: ColourConcepts) -> None:
    assert ask(typed("red"))
    assert ask(typed("red", "green"))
    assert concepts.embedded == 1


@pytest.mark.parametrize("text", ["", " ", ";", " ; ;"])
def test_a_text_that_names_nothing_gets_nothing(ask: Ask, text: str) -> None:
    assert [each["type"] for each in ask(typed(text))] in ([], ["textarea"])


@pytest.mark.parametrize("other", [{"from_name": "comment"}, {"value": {"text": "red"}}])
def test_other_texts_are_no_prompts(ask: Ask, other: Json) -> None:
    assert ask(typed("red") | other) == []


def test_a_box_drawn_beside_a_text_is_a_box(ask: Ask) -> None:
    (brush,) = ask(typed("green"), box(7, 70, 18, 26, label="Hat"), label_config=LABEL_CONFIG_HAT)
    assert brush["value"]["brushlabels"] == ["Hat"]


LABEL_CONFIG_HAT = LABEL_CONFIG.replace("Dress", "Hat")


def test_a_box_of_an_exemplar_control_gives_all_that_looks_like_its_content(ask: Ask) -> None:
    results = ask(box(7, 70, 18, 26, label="Hat"), label_config=BRUSHES)
    assert [each["value"]["brushlabels"] for each in results] == [["Hat"], ["Hat"]]
    assert not (mask_of(results[0]) & mask_of(results[1])).any()


def test_only_the_tool_that_says_so_gives_an_example(ask: Ask) -> None:
    drawn = box(7, 70, 18, 26)
    del drawn["value"]["rectanglelabels"]
    masks = [
        [
            each
            for each in ask(drawn | {"type": "rectangle", "from_name": name})
            if "rle" in each["value"]
        ]
        for name in ("box", "like")
    ]
    assert [len(each) for each in masks] == [1, 2]


def test_pages_are_searched_one_by_one(ask: Ask) -> None:
    blank = data_uri(np.full((96, 128, 3), 30, np.uint8))
    pages = ONE_LIST.replace("value=", "valueList=", 1)
    results = ask(typed("red", item_index=1), label_config=pages, data={"image": [blank, SCENE]})
    assert {each["item_index"] for each in results} == {1}
    assert len(results) == 2
    found = ask(typed("red"), label_config=pages, data={"image": [blank, SCENE]})
    assert [each["type"] for each in found] == ["textarea"]


def test_an_exclusive_control_leaves_out_what_was_suggested_before(ask: Ask) -> None:
    exclusive = BRUSHES.replace("<BrushLabels ", '<BrushLabels exclusive="true" ').replace(
        'exemplar="true"', ""
    )
    ask(box(7, 70, 18, 26, label="Hat"), label_config=exclusive)  # the left shoe
    masks = [mask_of(each) for each in ask(typed("red shoe"), label_config=exclusive)]
    assert [each[:, 64:].any() for each in masks] == [True]


def test_a_click_on_the_background_after_a_text_belongs_to_no_text(ask: Ask) -> None:
    points = BRUSHES.replace("RectangleLabels", "KeyPointLabels").replace("Hat", "Background")
    ask(typed("red shoe"), label_config=points)
    (status,) = ask(click(15, 80, label="Background"), label_config=points)
    assert "before any object" in status["value"]["text"][0]


def test_with_another_model_a_text_is_answered_with_what_is_missing(tmp_path: Path) -> None:
    ask = asking(make_app(make_predictor(FillModel(), tmp_path)).test_client())
    (status,) = ask(typed("red"), label_config=BRUSHES)
    assert status["value"]["text"] == ["this model finds nothing by text"]
    assert ask(typed("red"), label_config=BRUSHES.replace(STATUS, "")) == []


def test_with_another_model_an_example_is_an_ordinary_box(tmp_path: Path) -> None:
    ask = asking(make_app(make_predictor(FillModel(), tmp_path)).test_client())
    (region,) = ask(box(7, 70, 18, 26, label="Hat"), label_config=BRUSHES)
    assert region["value"]["brushlabels"] == ["Hat"]
    assert mask_of(region).sum() == 400
