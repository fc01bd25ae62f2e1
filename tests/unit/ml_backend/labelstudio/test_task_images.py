import json
import re
from typing import Any

import pytest

from ml_backend.errors import ImageReferenceError, LabelConfigError
from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config, refuse
from ml_backend.labelstudio.predictor import references_alone
from ml_backend.labelstudio.schemas import Task
from ml_backend.labelstudio.task_images import needed_data, split_pages, task_image, task_images

BRUSH = '<BrushLabels name="m" toName="i"><Label value="dress"/></BrushLabels>'


def config(value: str, attribute: str = "value") -> LabelConfig:
    image = f'<Image name="i" {attribute}="{value}"/>'
    return parse_label_config(f"<View>{image}{BRUSH}</View>")


@pytest.mark.parametrize(
    ("value", "data"),
    [
        ("$image", {"image": "a.jpg"}),
        ("$photo.url", {"photo": {"url": "a.jpg"}}),
        ("$images[1]", {"images": ["b.jpg", "a.jpg"]}),
        ("$looks[0].front.url", {"looks": [{"front": {"url": "a.jpg"}}]}),
        ("$photo.url", {"photo.url": "a.jpg"}),
    ],
)
def test_paths_lead_into_the_task(value: str, data: dict[str, Any]) -> None:
    (image,) = task_images(data, config(value), "i")
    assert (image.reference, image.item) == ("a.jpg", None)


@pytest.mark.parametrize("data", [{}, {"photo": {}}, {"photo": "x"}, {"photo": {"url": 7}}])
def test_the_error_names_the_path_that_was_looked_for(data: dict[str, Any]) -> None:
    with pytest.raises(ImageReferenceError, match=r"no image under 'photo\.url'"):
        task_images(data, config("$photo.url"), "i")


@pytest.mark.parametrize(
    "pages",
    [
        ["/a.jpg", "/b.jpg"],
        "/a.jpg\n/b.jpg",
        "/a.jpg|/b.jpg",
        "/a.jpg, /b.jpg",
        '["/a.jpg", "/b.jpg"]',
    ],
)
def test_pages_come_as_a_list_or_as_text(pages: Any) -> None:
    images = task_images({"images": pages}, config("$images", "valueList"), "i")
    assert [(each.item, each.reference) for each in images] == [(0, "/a.jpg"), (1, "/b.jpg")]


@pytest.mark.parametrize("one", ["data:image/png;base64,AA/B,/x", "https://host/a,b.jpg", "/a;b"])
def test_an_address_with_a_separator_is_one_page(one: str) -> None:
    assert split_pages(one) == [one]


def test_a_page_that_is_no_image_is_named() -> None:
    with pytest.raises(ImageReferenceError, match=r"'images\[1\]'"):
        task_images({"images": ["/a.jpg", None]}, config("$images", "valueList"), "i")
    with pytest.raises(ImageReferenceError, match="no list of images under 'images'"):
        task_images({}, config("$images", "valueList"), "i")
    with pytest.raises(ImageReferenceError, match="has 1 pages under 'images', not 3"):
        task_image({"images": ["/a.jpg"]}, config("$images", "valueList"), "i", 2)


@pytest.mark.parametrize(
    ("value", "reason", "fix"),
    [
        ("https://host/$photo", "fixed address before the variable", r'value="\$photo"'),
        ("https://host/a.jpg", "same image", r'value="\$image"'),
        ("$my-photo", "not a path that Label Studio follows", "rename"),
    ],
)
def test_an_image_that_no_task_can_show_is_refused(value: str, reason: str, fix: str) -> None:
    with pytest.raises(LabelConfigError, match=reason) as caught:
        refuse(config(value).problems_for_masks())
    assert re.search(fix, caught.value.hint)


def test_what_is_passed_on_of_a_task_are_its_images_alone() -> None:
    data = {"photo": {"url": "/a.jpg", "more": "x" * 9}, "images": ["/a.jpg", 3], "text": "secret"}
    for label_config, expected in (
        (config("$photo.url"), {"photo.url": "/a.jpg"}),
        (config("$images", "valueList"), {"images": ["/a.jpg"]}),
    ):
        alone = references_alone(Task(id=1, data=data), label_config)
        assert alone.data == expected
        (image,) = task_images(json.loads(json.dumps(alone.data)), label_config, "i")
        assert image.reference == "/a.jpg"


def test_what_is_kept_of_a_task_shows_the_same_images_and_labels() -> None:
    xml = (
        '<View><Image name="i" value="$photo.url"/><Image name="j" valueList="$pages"/>'
        '<Labels name="l" toName="i" value="$labels"/><Brush name="b" toName="i"/></View>'
    )
    both = parse_label_config(xml)
    data = {
        **{"photo": {"url": "/a.jpg", "more": "x" * 9}, "pages": ["/b.jpg", "/c.jpg"]},
        **{"labels": [{"value": "dress"}], "text": "secret"},
    }
    kept = needed_data(data, both)
    assert not {"photo", "text"} & kept.keys()
    assert "xxx" not in json.dumps(kept)
    for name in ("i", "j"):
        assert task_images(kept, both, name) == task_images(data, both, name)
    assert both.for_task(kept) == both.for_task(data)


def test_labels_of_a_task_are_those_of_its_data() -> None:
    xml = (
        '<View><Image name="i" value="$image"/><Labels name="l" toName="i" value="$labels"/>'
        '<Brush name="b" toName="i"/><Rectangle name="r" toName="i"/></View>'
    )
    dynamic = parse_label_config(xml)
    refuse([*dynamic.problems_for_masks(), *dynamic.problems_for_prompts(reads_text=False)])
    listed = [{"value": "dress", "background": "red"}, {"value": "Hat", "alias": "hat"}, "shoe", 7]
    (mask,) = dynamic.for_task({"labels": listed}).mask_controls()
    assert [label.value for label in mask.labels] == ["dress", "hat", "shoe"]
    assert mask.labels_from == "l"
    assert dynamic.for_task({}).mask_labels() == ()
