from itertools import combinations
from xml.etree.ElementTree import Element

import defusedxml.ElementTree
import pytest

from segstudio.local.demo_project import TEMPLATE

GARMENTS = [
    *("jacket", "coat", "shirt", "blouse", "other tops", "jersey shirt", "dress", "jumpsuit"),
    *("skirt", "pants", "knitwear", "tailleur", "swimwear", "footwear", "scarf-gloves"),
    *("other accessories", "jewelry", "hat", "bag-belt"),
]
LISTS = ("BrushLabels", "KeyPointLabels", "RectangleLabels")
TOOL_KEYS = set("bevhkmoprwuln")
LABEL_STUDIO_KEYS = {"alt+r", "alt+h", "alt+l", "alt+m", "shift+1", "shift+2", "shift+r"}


@pytest.fixture(scope="module")
def view() -> Element:
    return defusedxml.ElementTree.fromstring(TEMPLATE.read_text())


def labels(view: Element, list_: str) -> list[Element]:
    return view.findall(f".//{list_}/Label")


@pytest.mark.parametrize("list_", LISTS)
def test_each_list_holds_the_nineteen_garments(view: Element, list_: str) -> None:
    assert [label.get("value") for label in labels(view, list_)] == GARMENTS


@pytest.mark.parametrize("list_", ["KeyPointLabels", "RectangleLabels"])
def test_boxes_and_points_are_smart(view: Element, list_: str) -> None:
    control = view.find(f".//{list_}")
    assert control is not None
    assert control.get("smart") == "true"
    assert all(label.get("smart") == "true" for label in labels(view, list_))


def test_a_garment_has_the_same_colour_in_every_list(view: Element) -> None:
    colours = [[label.get("background") for label in labels(view, list_)] for list_ in LISTS]
    assert colours[0] == colours[1] == colours[2]


def test_no_two_garments_look_alike(view: Element) -> None:
    colours = [bytes.fromhex(label.attrib["background"][1:]) for label in labels(view, LISTS[0])]
    for first, second in combinations(colours, 2):
        assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 60


def test_every_label_has_a_key_of_its_own_that_label_studio_leaves_free(view: Element) -> None:
    keys = [label.attrib["hotkey"] for list_ in LISTS for label in labels(view, list_)]
    assert len(set(keys)) == len(keys) == 57
    assert not set(keys) & (TOOL_KEYS | LABEL_STUDIO_KEYS)


def test_a_garments_key_is_the_same_in_every_list_but_for_shift_and_alt(view: Element) -> None:
    keys = [[label.attrib["hotkey"] for label in labels(view, list_)] for list_ in LISTS]
    for brush, point, box in zip(*keys, strict=True):
        assert (point, box) == (f"alt+{brush}", f"shift+{brush}")


def test_headers_have_no_name_so_that_no_task_must_have_their_field(view: Element) -> None:
    headers = view.findall(".//Header")
    assert [h.get("value") for h in headers] == ["$Name", "$Theme", "$Typology", "$Typology_sub"]
    assert not any(header.get("name") for header in headers)


def test_the_image_can_be_zoomed_and_the_magic_wand_is_there(view: Element) -> None:
    image, wand = view.find(".//Image"), view.find(".//MagicWand")
    assert image is not None
    assert wand is not None
    assert (image.get("zoom"), image.get("zoomControl")) == ("true", "true")
    assert wand.get("toName") == image.get("name")
