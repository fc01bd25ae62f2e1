"""Regions written by hand or by a broken program: each is named, and the others are written."""

import json
import math
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.labelstudio.region_pixels import RegionError, region_outline, region_rle
from ml_backend.labelstudio.results import parse_result
from tests.support.command_line import Run, records
from tests.support.drawn import CONFIG, Entry, box, brush, polygon, rectangle_mask
from tests.support.label_studio_server import LabelStudioServer, annotation, task

HAT, DRESS = rectangle_mask(20, 10, 5, 5), rectangle_mask(10, 5, 30, 20)
TRIANGLE = polygon("bad", "dress", (0, 0), (9, 0), (0, 9))
ZIGZAG = [[0, 0], [100, 100]] * 50_000


def changed(entry: Entry, **value: object) -> Entry:
    return {**entry, "value": {**entry["value"], **value}}


BAD: dict[str, tuple[Entry, str]] = {
    "a missing coordinate": (
        changed(TRIANGLE, points=[[None, 1], [2, 3], [3, 4]]),
        "a coordinate is not a number",
    ),
    "a far point": (
        changed(TRIANGLE, points=[[1e9, 1], [2, 3], [3, 4]]),
        "a coordinate is far outside its image: 1e+09 %",
    ),
    "an infinite point": (
        changed(TRIANGLE, points=[[math.inf, 1], [2, 3], [3, 4]]),
        "a coordinate is not a number",
    ),
    "an endless outline": (changed(TRIANGLE, points=ZIGZAG), "its outline is 10000000 pixels long"),
    "no points": (changed(TRIANGLE, points=None), "a coordinate is not a number"),
    "points of points": (changed(TRIANGLE, points=[[[1]]]), "its polygon has no outline"),
    "a box without a width": (
        changed(box("bad", "dress", 0, 0, 9, 9), width=None),
        "a coordinate is not a number",
    ),
    "a box that is turned for ever": (
        changed(box("bad", "dress", 0, 0, 9, 9), rotation=1e18),
        "far outside",
    ),
    "a huge image": (
        {**TRIANGLE, "original_width": 10**6, "original_height": 10**6},
        "its image has 1000000 x 1000000 pixels, too many",
    ),
    "an image of endless width": (
        {**TRIANGLE, "original_width": 10**400},
        "size of its image is missing",
    ),
    "a number in place of strokes": (
        changed(brush("bad", "hat", HAT), rle=10**13),
        "its brush strokes are damaged",
    ),
    "a label that is no text": (
        changed(brush("bad", "hat", HAT), brushlabels=[None]),
        "its labels are not a list of strings",
    ),
    "another size of image": (
        {**TRIANGLE, "original_width": 10},
        "its image has 10 x 40 pixels, that of other regions 60 x 40",
    ),
    "an image that is not there": ({**TRIANGLE, "to_name": "gone"}, "it is on the image 'gone'"),
    "a page that is not there": ({**TRIANGLE, "item_index": 7}, "it is on page 8 of 'image'"),
}


@pytest.fixture
def damaged(label_studio: LabelStudioServer) -> str:
    """A project of one task, whose regions are all of BAD between two good ones."""
    bad = [{**entry, "id": f"bad {name}"} for name, (entry, _) in BAD.items()]
    result = [brush("r1", "hat", HAT), *bad, brush("r2", "dress", DRESS)]
    unreadable = annotation(1, *result)
    unreadable["result"].append(None)
    return str(label_studio.add(CONFIG, [task("1.jpg", unreadable)]))


@pytest.mark.parametrize("kind", ["coco", "masks"])
def test_each_bad_region_is_named_with_its_task_and_the_others_are_written(
    run: Run, damaged: str, kind: str
) -> None:
    words = ("--project", damaged, "--format", kind, "--out", "out", "--with-boxes")
    result = run("export", *words, "--json")
    assert result.exit_code == 3, result.output
    *problems, outcome = records(result)
    assert outcome["regions"] == 2
    found = {each["region"]: each["failed"] for each in problems if each["region"]}
    assert found.keys() == {f"bad {name}" for name in BAD}
    for name, (_, reason) in BAD.items():
        assert reason in found[f"bad {name}"]
    assert {each["task"] for each in problems} == {3000001}
    assert problems[-1]["failed"] == "a result is not an object"
    told = run("export", *words)
    assert "(project 3, task 3000001, annotation 1, region bad a far point)" in told.output


def test_a_table_holds_the_answers_beside_a_bad_region(run: Run, damaged: str) -> None:
    for kind in ("csv", "jsonl", "parquet"):
        words = ("--project", damaged, "--format", kind, "--out", f"out.{kind}")
        assert run("export", *words).exit_code == 3
    line = json.loads(Path("out.jsonl").read_text())
    assert line["mask"] == ["hat", "dress"]


def test_an_agreement_names_bad_regions_and_compares_the_others(
    run: Run, damaged: str, label_studio: LabelStudioServer
) -> None:
    other = label_studio.add(CONFIG, [task("1.jpg", annotation(2, brush("r", "hat", HAT), by=2))])
    result = run("agreement", "--project", f"{damaged},{other}", "--with-boxes", "--json")
    assert result.exit_code == 3, result.output
    *problems, outcome = records(result)
    assert {each["region"] for each in problems} == {"", *(f"bad {name}" for name in BAD)}
    assert {each["task"] for each in problems} == {3000001}
    hat = next(each for each in outcome["masks"] if each["label"] == "hat")
    assert hat["iou"] == 1


NUMBERS = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=3), st.lists(st.none())
)
NAMES = ("x", "y", "width", "height", "rotation", "radiusX", "radiusY", "points", "rle")
VALUES = st.dictionaries(
    st.sampled_from(NAMES), NUMBERS | st.lists(NUMBERS) | st.lists(st.lists(NUMBERS, max_size=3))
)


@given(VALUES, NUMBERS, NUMBERS, NUMBERS)
def test_whatever_a_region_holds_it_has_pixels_or_a_reason(
    value: dict[str, object], width: object, height: object, item: object
) -> None:
    drawn = {
        **TRIANGLE,
        "original_width": width,
        "original_height": height,
        "item_index": item,
        "value": {**value, "polygonlabels": ["dress"]},
    }
    for region in parse_result([drawn]).regions:
        for pixels in (region_rle, region_outline):
            with suppress(RegionError):
                pixels(region)
