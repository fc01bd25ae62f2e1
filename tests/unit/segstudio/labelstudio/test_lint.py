import json
from pathlib import Path

import pytest

from segstudio.checks import CheckResult
from segstudio.labelstudio.lint import label_table, lint
from segstudio.labelstudio.ml_backends import SAM3, SHIPPED, Classes
from segstudio.projects.templates import read_template
from tests.support.command_line import Run, records
from tests.support.http_server import Server, json_reply

IMAGE = '<Image name="image" value="$image"/>'
DRESS = '<Label value="Dress"/>'
MASK = f'<BrushLabels name="mask" toName="image" smart="false">{DRESS}</BrushLabels>'
BOX = f'<RectangleLabels name="box" toName="image" smart="true">{DRESS}</RectangleLabels>'


def findings(*tags: str, classes: Classes = SHIPPED) -> list[CheckResult]:
    return lint(f"<View>{''.join(tags)}</View>", classes)


def only(*tags: str, classes: Classes = SHIPPED) -> CheckResult:
    (finding,) = findings(*tags, classes=classes)
    assert finding.fix
    return finding


def test_what_both_backends_can_serve_is_fine() -> None:
    assert findings(IMAGE, MASK, BOX) == []
    assert lint(read_template("runway_fashion"), SHIPPED) == []


def test_xml_that_is_none_is_told_with_its_place() -> None:
    finding = only("<Image>")
    assert finding.status == "error"
    assert "line 1" in finding.detail


def test_entities_are_refused() -> None:
    (finding,) = lint('<!DOCTYPE a [<!ENTITY b "c">]><View/>', SHIPPED)
    assert finding.status == "error"


def test_a_config_without_an_image_is_refused() -> None:
    text = '<Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="a"/></Choices>'
    assert 'add <Image name="image"' in only(text).fix


def test_a_wrong_to_name_is_told_with_the_right_one() -> None:
    finding = only(IMAGE, MASK.replace('toName="image"', 'toName="photo"'), BOX)
    assert (finding.status, finding.subject) == ("error", "mask")
    assert finding.detail == 'toName="photo" names no tag'
    assert finding.fix == 'toName="image"'


def test_a_brush_on_something_else_than_an_image_is_told() -> None:
    text = '<Text name="text" value="$text"/>'
    finding = only(IMAGE, text, MASK.replace('toName="image"', 'toName="text"'), BOX)
    assert "is a Text" in finding.detail


def test_a_missing_brush_is_an_error_a_warning_or_a_note_by_what_becomes_of_masks() -> None:
    choices = '<Choices name="c" toName="image"><Choice value="a"/></Choices>'
    polygons = MASK.replace("BrushLabels", "PolygonLabels").replace(' smart="false"', "")
    assert only(IMAGE, choices).status == "error"
    assert only(IMAGE, BOX).status == "warning"
    assert only(IMAGE, polygons, BOX).status == "note"


def test_without_a_smart_tool_the_sam_backend_would_refuse() -> None:
    assert "no smart" in only(IMAGE, MASK).detail
    off = BOX.replace('smart="true"', 'smart="false"')
    assert "no smart" in only(IMAGE, MASK, off).detail


@pytest.mark.parametrize("tag", ["PolygonLabels", "EllipseLabels", "VectorLabels"])
def test_smart_is_ignored_where_label_studio_has_no_smart_tool(tag: str) -> None:
    ignored = BOX.replace("RectangleLabels", tag).replace('name="box"', 'name="shape"')
    finding = only(IMAGE, MASK, BOX, ignored)
    assert (finding.status, finding.subject) == ("warning", "shape")
    assert "is ignored" in finding.detail


def test_smart_on_a_label_means_nothing_where_its_control_is_not() -> None:
    point = (
        '<KeyPointLabels name="point" toName="image" smart="false">'
        '<Label value="Dress" smart="true"/></KeyPointLabels>'
    )
    assert 'smart="true"' in only(IMAGE, MASK, BOX, point).fix


def test_a_smart_control_without_labels_is_told() -> None:
    plain = '<Rectangle name="r" toName="image" smart="true"/>'
    assert "use RectangleLabels" in only(IMAGE, MASK, BOX, plain).fix


def test_a_smart_brush_is_told_for_no_backend_answers_it() -> None:
    finding = only(IMAGE, MASK.replace(' smart="false"', ""), BOX)
    assert finding.status == "warning"
    assert 'smart="false"' in finding.fix


def test_labels_of_a_smart_tool_that_the_brush_lacks_are_told() -> None:
    more = BOX.replace("</Rect", '<Label value="Shoe"/></Rect')
    finding = only(IMAGE, MASK, more)
    assert (finding.status, finding.subject) == ("warning", "box")
    assert "Shoe" in finding.detail


OTHER = '<Image name="other" value="$other"/>'


def on_other(tag: str) -> str:
    return BOX.replace("image", "other").replace("box", "more").replace("RectangleLabels", tag)


def test_a_smart_tool_on_an_image_without_masks_is_told() -> None:
    finding = only(IMAGE, OTHER, MASK, BOX, on_other("KeyPointLabels"))
    assert (finding.status, finding.subject) == ("warning", "more")
    assert finding.detail == "no control takes masks on other: its suggestions are refused"


def test_smart_boxes_on_an_image_without_a_brush_are_told() -> None:
    finding = only(IMAGE, OTHER, MASK, BOX, on_other("RectangleLabels"))
    assert (finding.status, finding.subject) == ("warning", "more")
    assert "masks become boxes" in finding.detail


def test_all_brushes_of_the_image_count() -> None:
    wear = MASK.replace("mask", "wear").replace("Dress", "Scratch")
    finding = only(IMAGE, wear, MASK, BOX, classes=Classes(("background", "dress"), "a model"))
    assert (finding.status, finding.subject) == ("warning", "wear")
    assert "becomes Scratch" in finding.detail


def test_labels_that_no_class_becomes_are_told_with_the_classes_that_are_free() -> None:
    both = [tag.replace(DRESS, f'{DRESS}<Label value="Car"/>') for tag in (MASK, BOX)]
    finding = only(IMAGE, *both, classes=Classes(("background", "dress", "wheel"), "a model"))
    assert finding.status == "warning"
    assert "a model becomes Car; free are wheel" in finding.detail
    assert 'predicted_values="wheel"' in finding.fix


def test_a_config_that_the_model_knows_nothing_of_shows_both_sides() -> None:
    car = [tag.replace("Dress", "Car") for tag in (MASK, BOX)]
    finding = only(IMAGE, *car, classes=Classes(("background", "dress"), "a model"))
    assert finding.status == "error"
    assert finding.detail == "no class of a model becomes Car; it knows dress"


def test_labels_that_will_be_learned_are_a_warning_that_says_so() -> None:
    car = [tag.replace("Dress", "Car") for tag in (MASK, BOX)]
    learns = Classes(("background", "dress"), "a model", learning=True)
    finding = only(IMAGE, *car, classes=learns)
    assert finding.status == "warning"
    assert finding.detail == (
        "none of these labels is known yet; suggestions start after about 20 annotated images"
    )


def test_the_command_expects_a_backend_that_learns_unless_it_is_told_otherwise(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    car = "".join(tag.replace("Dress", "Car") for tag in (MASK, BOX))
    (tmp_path / "car.xml").write_text(f"<View>{IMAGE}{car}</View>")
    assert "none of these labels is known yet" in run("lint", tmp_path / "car.xml").stdout
    monkeypatch.setenv("LEARN", "off")
    assert "no class of the shipped network" in run("lint", tmp_path / "car.xml").stdout


@pytest.mark.parametrize(
    ("answer", "exit_code", "says"),
    [
        ({"learning": True}, 3, "none of these labels is known yet"),
        ({"learning": False}, 3, "no class of by-colour-1 becomes Car; it knows dress"),
        ({"text_prompts": True, "classes": []}, 0, "no problems with both backends (by-colour-1)"),
    ],
)
def test_a_running_backend_says_what_becomes_of_labels_that_nobody_knows(
    run: Run, tmp_path: Path, answer: dict[str, object], exit_code: int, says: str
) -> None:
    car = "".join(tag.replace("Dress", "Car") for tag in (MASK, BOX))
    (tmp_path / "car.xml").write_text(f"<View>{IMAGE}{car}</View>")
    versions = {"versions": ["by-colour-1"], "classes": ["background", "dress"], **answer}
    with Server() as backend:
        backend.replies["/versions"] = json_reply(versions)
        result = run("lint", tmp_path / "car.xml", "--backend", backend.url)
    assert result.exit_code == exit_code
    assert says in " ".join(result.stdout.split())


def test_classes_that_are_not_known_are_not_checked() -> None:
    car = [tag.replace("Dress", "Car") for tag in (MASK, BOX)]
    assert findings(IMAGE, *car, classes=Classes((), "no answer")) == []


def test_the_table_of_labels_shows_their_classes_and_tools() -> None:
    config = f"<View>{IMAGE}{MASK}{BOX}</View>"
    assert label_table(config, SHIPPED) == [("Dress", "dress, jumpsuit", "box")]


def test_where_labels_are_the_prompt_a_name_that_is_no_word_is_told_at_its_line() -> None:
    labels = '\n<Label value="Dress"/>\n<Label value="lbl_3"/><Label value="x1" prompt="shoe"/>'
    finding, *rest = findings(IMAGE, LIST.replace(DRESS, labels), TOOLS, classes=SAM3)
    assert rest == []
    assert (finding.status, finding.subject, finding.line) == ("warning", "label", 3)
    assert finding.detail == "lbl_3 is no English word, and is what the model looks for"
    assert '<Label value="lbl_3" prompt="..."/>' in finding.fix


CHOICES = '<Choices name="c" toName="image"><Choice value="Dress" prompt="dress"/></Choices>'


@pytest.mark.parametrize(
    ("tag", "says"),
    [
        ('<TextArea name="prompt" toName="image"/>', "typed prompts are answered with SAM_MODEL"),
        (
            BOX.replace("box", "like").replace("smart", "exemplar"),
            "boxes are examples with SAM_MODEL=sam3",
        ),
        (CHOICES, "choices with a prompt are predicted with SEGMENTATION_MODEL=sam3 alone"),
    ],
)
def test_what_only_sam_3_answers_is_noted(tag: str, says: str) -> None:
    finding = only(IMAGE, MASK, BOX, tag)
    assert finding.status == "note"
    assert says in finding.detail
    assert finding.line == 1


def test_where_sam_3_serves_choices_are_fine() -> None:
    assert findings(IMAGE, MASK, BOX, CHOICES, classes=SAM3) == []


def test_an_example_that_is_no_box_is_told() -> None:
    finding = only(
        IMAGE, MASK.replace("<Brush", "<Brush", 1).replace(" smart", ' exemplar="true" smart'), BOX
    )
    assert (finding.status, finding.subject) == ("warning", "mask")


def test_where_labels_are_the_prompt_the_table_shows_the_phrases(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bags.xml").write_text(
        f"<View>{IMAGE}{LIST.replace('Dress', 'bag/belt')}{TOOLS}</View>"
    )
    (outcome,) = records(run("lint", tmp_path / "bags.xml", "--sam3", "--json"))
    assert outcome["labels"][0]["classes"] == "bag, belt"
    assert outcome["findings"] == []


def test_the_command_tells_each_finding_with_its_fix(run: Run) -> None:
    fine, coding = run("lint", "runway_fashion.xml"), run("lint", "visual_coding.xml", "--json")
    assert fine.exit_code == 0
    assert "no problems with both backends" in fine.stdout
    assert coding.exit_code == 3
    (outcome,) = records(coding)
    assert outcome["findings"][0]["fix"].startswith("add <BrushLabels")
    assert run("lint", "polygons.xml").exit_code == 0


def test_a_template_that_is_not_there_is_one_line(run: Run) -> None:
    result = run("lint", "none.xml")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: there is no template none.xml")


def test_a_backend_that_does_not_answer_is_one_line(run: Run) -> None:
    result = run("lint", "polygons", "--backend", "http://127.0.0.1:9", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["type"] == "backend"


LIST = f'<Labels name="label" toName="image">{DRESS}</Labels>'
TOOLS = (
    '<Brush name="b" toName="image" smart="false"/><Rectangle name="r" toName="image"/>'
    '<KeyPoint name="k" toName="image"/>'
)


def test_one_list_of_labels_is_fine() -> None:
    assert findings(IMAGE, LIST, TOOLS) == []
    assert lint(read_template("runway_fashion_classic"), SHIPPED) == []


def test_findings_tell_their_line() -> None:
    smart = MASK.replace(' smart="false"', "")
    (finding,) = lint(f"<View>\n{IMAGE}\n{smart}\n\n{BOX}</View>", SHIPPED)
    assert (finding.subject, finding.line) == ("mask", 3)


def test_a_key_that_chooses_two_labels_is_told_at_the_second() -> None:
    labels = '<Label value="Dress" hotkey="q"/>\n<Label value="Hat" hotkey="Q"/>'
    finding = only(IMAGE, "\n" + LIST.replace(DRESS, labels), TOOLS)
    assert (finding.status, finding.line) == ("warning", 3)
    assert finding.detail == "the key Q of Hat is that of Dress too"


def test_labels_that_differ_in_case_alone_are_told() -> None:
    twice = LIST.replace(DRESS, f'{DRESS}<Label value="dress"/>')
    (finding,) = findings(IMAGE, twice, TOOLS, classes=Classes((), "no answer"))
    assert finding.detail == "dress and Dress differ only in case"


@pytest.mark.parametrize(
    "attribute", ['polygon_tolerance="fine"', 'polygon_tolerance="-1"', 'max_points="2"']
)
def test_an_attribute_that_is_no_fitting_number_is_told(attribute: str) -> None:
    polygons = MASK.replace("BrushLabels", "PolygonLabels").replace('smart="false"', attribute)
    told = [each for each in findings(IMAGE, polygons, BOX) if each.status == "warning"]
    assert [each.detail for each in told] == [f"{attribute} is ignored"]


def test_a_turned_view_is_noted() -> None:
    finding = only(IMAGE.replace("/>", ' rotateControl="true"/>'), MASK, BOX)
    assert (finding.status, finding.subject) == ("note", "image")


def test_a_background_label_of_points_is_noted_as_what_it_does() -> None:
    points = BOX.replace("RectangleLabels", "KeyPointLabels").replace("box", "point")
    both = DRESS + '<Label value="Background"/>'
    finding, *rest = findings(
        IMAGE, MASK.replace(DRESS, both), BOX, points.replace(DRESS, both), classes=Classes((), "")
    )
    assert rest == []
    assert (finding.status, finding.subject) == ("note", "point")
    assert "takes away" in finding.detail


def test_labels_of_the_task_are_noted() -> None:
    dynamic = '<Labels name="label" toName="image" value="$names"/>'
    finding = only(IMAGE, dynamic, TOOLS)
    assert (finding.status, finding.subject) == ("note", "label")


def test_unknown_labels_next_to_those_of_the_task_are_no_error() -> None:
    """Found by hypothesis: the backends serve such a config, for a task may name a dress."""
    car = MASK.replace(DRESS, '<Label value="car"/>')
    told = findings(IMAGE, '<BrushLabels name="more" toName="image" value="$names"/>', car, BOX)
    assert {each.status for each in told} == {"note", "warning"}
    assert any("becomes car" in each.detail for each in told)


def test_an_image_that_no_task_can_show_is_an_error_with_the_fix() -> None:
    finding = only(IMAGE.replace("$image", "https://host/$image"), MASK, BOX)
    assert (finding.status, finding.subject) == ("error", "image")
    assert finding.fix.endswith('value="$image"')


def test_tools_without_any_labels_are_an_error_for_nothing_can_be_predicted() -> None:
    told = [each for each in findings(IMAGE, TOOLS) if each.status == "error"]
    assert [each.detail for each in told] == [
        "regions have no labels, so that none can be predicted"
    ]
    assert told[0].fix.startswith('add <Labels name="label" toName="image">')
