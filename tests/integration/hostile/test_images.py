"""Strange and dangerous images, through the real /predict of both backends."""

import pytest

from tests.integration.hostile.conftest import Scene
from tests.integration.hostile.pictures import GOOD, REFUSED, SHOWN
from tests.support.asking import (
    ask,
    batch,
    click,
    counted,
    data_uri,
    last_failure,
    lines,
    predicted,
)
from tests.support.http_server import Reply

SIZES = {"1 x 1": (1, 1), "65000 x 1": (65_000, 1), "1 x 65000": (1, 65_000)}


def test_images_that_people_can_see_get_a_prediction(scene: Scene) -> None:
    images = [data_uri(image) for image in SHOWN.values()]
    found = dict(zip(SHOWN, predicted(scene.segmentation, *images), strict=True))
    assert found == dict.fromkeys(SHOWN, True)


def test_other_images_cost_their_own_task_only(scene: Scene) -> None:
    before = counted(scene.segmentation, "image_decode")
    images = [data_uri(image) for image in REFUSED.values()]
    found = predicted(scene.segmentation, *images, data_uri(GOOD))
    assert dict(zip(REFUSED, found, strict=False)) == dict.fromkeys(REFUSED, False)
    assert found[-1]
    assert counted(scene.segmentation, "image_decode") == before + len(REFUSED)


@pytest.mark.parametrize("name", SHOWN)
def test_a_click_on_an_image_that_people_can_see_is_answered(scene: Scene, name: str) -> None:
    failed = sum(line["event"] == "task_failed" for line in lines(scene.sam))
    (entry,) = ask(scene.sam, click(data_uri(SHOWN[name])))
    assert sum(line["event"] == "task_failed" for line in lines(scene.sam)) == failed
    for region in entry["result"]:
        size = region["original_width"], region["original_height"]
        assert size == SIZES.get(name, size)


@pytest.mark.parametrize("name", REFUSED)
def test_a_click_on_anything_else_finds_nothing_and_the_log_says_why(
    scene: Scene, name: str
) -> None:
    (entry,) = ask(scene.sam, click(data_uri(REFUSED[name])))
    assert entry["result"] == []
    assert "image_decode" in last_failure(scene.sam)


def test_names_and_types_that_lie_are_no_matter(scene: Scene) -> None:
    scene.web.replies["/photo.exe"] = Reply(body=GOOD, headers={"Content-Type": "text/plain"})
    scene.web.replies["/photo.jpg"] = Reply(
        body=REFUSED["SVG"], headers={"Content-Type": "image/jpeg"}
    )
    found = predicted(
        scene.segmentation, f"{scene.web.url}/photo.exe", f"{scene.web.url}/photo.jpg"
    )
    assert found == [True, False]


def test_what_is_no_reference_costs_its_own_task_only(scene: Scene) -> None:
    values: list[object] = [
        None,
        7,
        True,
        [],
        {"a": ["b"] * 9},
        "",
        "x" * 10**6,
        "\x00",
        "data:,",
        "gs://",
        "//",
    ]
    found = ask(scene.segmentation, batch(*values, data_uri(GOOD)))
    assert found[:-1] == [[]] * len(values)
    assert found[-1] != []
