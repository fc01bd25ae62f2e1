import pytest

from ml_backend.errors import LabelConfigError, PromptError
from ml_backend.labelstudio.label_config import parse_label_config, refuse
from ml_backend.labelstudio.prompts import Context
from sam_backend.region_target import find_target
from tests.support.scenes import LABEL_CONFIG


def config(*controls: str) -> str:
    """A label config with two images; a control is "Tag name image label,label [attributes]"."""
    tags = []
    for control in controls:
        tag, name, image, labels, *attributes = control.split()
        inner = "".join(f'<Label value="{label}"/>' for label in labels.split(","))
        opening = " ".join([tag, f'name="{name}" toName="{image}"', *attributes])
        tags.append(f"<{opening}>{inner}</{tag}>")
    images = '<Image name="front" value="$front"/><Image name="back" value="$back"/>'
    return f"<View>{images}{''.join(tags)}</View>"


def target(xml: str, label: str | None, to_name: str) -> tuple[str, str | None]:
    found = find_target(Context(label, to_name), parse_label_config(xml))
    return found.control.name, found.label


def check_tools(xml: str) -> None:
    refuse(parse_label_config(xml).problems_for_prompts(reads_text=False))


def test_the_usual_label_config_is_served() -> None:
    check_tools(LABEL_CONFIG)


def test_tools_are_smart_unless_the_label_config_says_otherwise() -> None:
    check_tools(config("BrushLabels b front a", "KeyPointLabels k front a"))


@pytest.mark.parametrize(
    "controls",
    [
        ("BrushLabels b front a",),
        ("BrushLabels b front a", 'RectangleLabels r front a smart="false"'),
        ("BrushLabels b front a", "KeyPointLabels k back a"),
        ("BrushLabels b front a", "KeyPointLabels k front c"),
    ],
    ids=["no tool", "not smart", "on another image", "no label in common"],
)
def test_a_label_config_without_a_smart_tool_for_its_masks_is_refused_with_the_fix(
    controls: tuple[str, ...],
) -> None:
    with pytest.raises(LabelConfigError, match=r'add e\.g\. <RectangleLabels .*smart="true"'):
        check_tools(config(*controls))


def test_a_label_config_that_takes_no_masks_is_refused_with_the_fix() -> None:
    with pytest.raises(LabelConfigError, match=r"add e\.g\. <BrushLabels"):
        check_tools(config("KeyPointLabels k front a"))


TWO_IMAGES = config(
    "BrushLabels one front Shirt",
    "BrushLabels two back Shirt,Dress",
    "BrushLabels damage back Stain",
    "RectangleLabels box back Shirt,Dress,Stain,Hole",
)


def test_the_mask_goes_to_the_image_that_was_drawn_on() -> None:
    assert target(TWO_IMAGES, "Shirt", "front") == ("one", "Shirt")
    assert target(TWO_IMAGES, "Shirt", "back") == ("two", "Shirt")


def test_a_control_of_both_images_takes_the_masks_of_each() -> None:
    xml = config("BrushLabels both front,back Shirt", "KeyPointLabels k back Shirt")
    check_tools(xml)
    found = find_target(Context("Shirt", "back"), parse_label_config(xml))
    assert (found.control.name, found.control.to_name) == ("both", "back")


def test_the_mask_goes_to_the_brush_that_has_the_label() -> None:
    assert target(TWO_IMAGES, "Stain", "back") == ("damage", "Stain")


def test_labels_are_equal_whatever_their_case() -> None:
    assert target(TWO_IMAGES, "DRESS", "back") == ("two", "Dress")


def test_of_labels_that_differ_in_case_only_the_equal_one_is_taken() -> None:
    assert target(config("BrushLabels b front a,A"), "A", "front") == ("b", "A")


def test_a_label_that_no_mask_can_carry_names_label_control_and_fix() -> None:
    with pytest.raises(PromptError, match=r"'two' has no label 'Hole' \(add that <Label> to 'two'"):
        target(TWO_IMAGES, "Hole", "back")


def test_a_prompt_without_a_label_gets_the_only_one_there_is() -> None:
    assert target(TWO_IMAGES, None, "front") == ("one", "Shirt")
    with pytest.raises(PromptError, match="choose a label"):
        target(TWO_IMAGES, None, "back")


def test_a_prompt_that_names_no_image_is_on_the_first_with_masks() -> None:
    assert target(TWO_IMAGES, "Shirt", "") == ("one", "Shirt")


def test_a_prompt_on_an_unknown_image_is_refused() -> None:
    with pytest.raises(PromptError, match="no control takes a mask on 'side'"):
        target(TWO_IMAGES, "Shirt", "side")


def test_without_a_brush_masks_go_to_polygons() -> None:
    xml = config("RectangleLabels box front a", "PolygonLabels outline front a")
    assert target(xml, "a", "front") == ("outline", "a")


ONE_LIST = (
    '<View><Image name="front" value="$front"/>'
    '<Labels name="label" toName="front"><Label value="Shirt"/><Label value="Dress"/></Labels>'
    '<Brush name="brush" toName="front"/><Rectangle name="box" toName="front"/></View>'
)


def test_a_tool_beside_a_list_may_prompt_with_a_label_or_without() -> None:
    assert target(ONE_LIST, "dress", "front") == ("brush", "Dress")
    found = find_target(Context(None, "front", tool="box"), parse_label_config(ONE_LIST))
    assert (found.control.name, found.label) == ("brush", None)


def test_a_region_of_an_unlabeled_brush_has_no_label() -> None:
    xml = '<View><Image name="i" value="$i"/><Brush name="b" toName="i"/></View>'
    found = find_target(Context(None, "i", tool="box"), parse_label_config(xml))
    assert (found.control.name, found.label) == ("b", None)
