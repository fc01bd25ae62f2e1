from itertools import combinations
from xml.etree.ElementTree import Element

import defusedxml.ElementTree
import pytest

from segstudio.projects.templates import read_template

GARMENTS = [
    *("jacket", "coat", "shirt", "blouse", "other tops", "jersey shirt", "dress", "jumpsuit"),
    *("skirt", "pants", "knitwear", "tailleur", "swimwear", "footwear", "scarf-gloves"),
    *("other accessories", "jewelry", "hat", "bag-belt"),
]
LISTS = ("BrushLabels", "KeyPointLabels", "RectangleLabels")
TOOL_KEYS = set("bevhkmoprwuln")
LABEL_STUDIO_KEYS = {"alt+r", "alt+h", "alt+l", "alt+m", "shift+1", "shift+2", "shift+r"}


def template(name: str) -> Element:
    root: Element = defusedxml.ElementTree.fromstring(read_template(name))
    return root


@pytest.fixture(scope="module")
def view() -> Element:
    return template("runway_fashion")


@pytest.fixture(scope="module")
def classic() -> Element:
    return template("runway_fashion_classic")


def labels(view: Element, list_: str = "Labels") -> list[Element]:
    return view.findall(f".//{list_}/Label")


def test_one_list_holds_the_nineteen_garments_once(view: Element) -> None:
    assert [label.get("value") for label in labels(view)] == GARMENTS
    assert len(view.findall(".//Label")) == 19


def test_tools_have_no_labels_and_smart_are_those_that_ask(view: Element) -> None:
    smart = {
        tag: control.get("smart")
        for tag in ("Rectangle", "KeyPoint", "Brush", "MagicWand")
        for control in view.findall(f".//{tag}")
    }
    assert smart == {
        "Rectangle": "true",
        "KeyPoint": "true",
        "Brush": "false",
        "MagicWand": "false",
    }


def test_a_garment_has_the_same_color_and_key_in_the_classic_lists(
    view: Element, classic: Element
) -> None:
    for list_ in LISTS:
        for new, old in zip(labels(view), labels(classic, list_), strict=True):
            assert old.get("value") == new.get("value")
            assert old.get("background") == new.get("background")
            assert old.attrib["hotkey"].split("+")[-1] == new.get("hotkey")


@pytest.mark.parametrize("list_", ["KeyPointLabels", "RectangleLabels"])
def test_classic_boxes_and_points_are_smart(classic: Element, list_: str) -> None:
    control = classic.find(f".//{list_}")
    assert control is not None
    assert control.get("smart") == "true"


def test_no_two_garments_look_alike(view: Element) -> None:
    colors = [bytes.fromhex(label.attrib["background"][1:]) for label in labels(view)]
    for first, second in combinations(colors, 2):
        assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 60


def test_every_label_has_a_key_of_its_own_that_label_studio_leaves_free(
    view: Element, classic: Element
) -> None:
    for lists, count in (([labels(view)], 19), ([labels(classic, one) for one in LISTS], 57)):
        keys = [label.attrib["hotkey"] for list_ in lists for label in list_]
        assert len(set(keys)) == len(keys) == count
        assert not set(keys) & (TOOL_KEYS | LABEL_STUDIO_KEYS)


def test_a_line_on_the_page_tells_how_to_use_it(view: Element) -> None:
    (line,) = [h.attrib["value"] for h in view.findall(".//*[@className='garments']/Header")]
    assert all(word in line for word in ("Auto-Annotation", "R", "K", "Alt+click"))


def test_headers_have_no_name_so_that_no_task_must_have_their_field(view: Element) -> None:
    headers = view.findall(".//*[@className='look']//Header")
    assert [h.get("value") for h in headers] == ["$Name", "$Theme", "$Typology", "$Typology_sub"]
    assert not any(header.get("name") for header in headers)


def test_the_image_can_be_zoomed_and_the_magic_wand_is_there(view: Element) -> None:
    image, wand = view.find(".//Image"), view.find(".//MagicWand")
    assert image is not None
    assert wand is not None
    assert (image.get("zoom"), image.get("zoomControl")) == ("true", "true")
    assert wand.get("toName") == image.get("name")
