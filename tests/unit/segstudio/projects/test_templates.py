from pathlib import Path

import defusedxml.ElementTree
import pytest

from ml_backend.errors import LabelConfigError, SettingsError
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.task_paths import look_up, place
from segstudio.projects.tasks import TaskField
from segstudio.projects.templates import (
    Code,
    add_codes,
    read_template,
    task_fields,
)

PLAIN = '<View><Image name="pic" value="$Photo"/><TextArea name="note" toName="pic"/></View>'


def code(text: str, multiple: bool = False) -> Code:
    return Code.parse(text, multiple=multiple)


def test_codes_become_choices_about_the_image() -> None:
    codes = [code("Sentiment = Positive, Neutral ,Negative"), code("Objects=Flag,Dog", True)]
    root = defusedxml.ElementTree.fromstring(add_codes(PLAIN, codes))
    found = {
        each.attrib["name"]: (
            each.attrib["toName"],
            each.attrib["choice"],
            [choice.attrib["value"] for choice in each],
        )
        for each in root.iter("Choices")
    }
    assert found == {
        "Sentiment": ("pic", "single", ["Positive", "Neutral", "Negative"]),
        "Objects": ("pic", "multiple", ["Flag", "Dog"]),
    }


def test_words_that_xml_would_misread_are_kept() -> None:
    root = defusedxml.ElementTree.fromstring(add_codes(PLAIN, [code('A&B="yes" <1>,<no>')]))
    assert [each.attrib["value"] for each in root.iter("Choice")] == ['"yes" <1>', "<no>"]


def test_codes_go_beside_the_image_where_the_template_has_a_place_for_them() -> None:
    root = defusedxml.ElementTree.fromstring(
        add_codes(read_template("visual_coding"), [code("Mood=Good,Bad")])
    )
    place = root.find(".//View[@className='codes']")
    assert place is not None
    assert [each.attrib["name"] for each in place.iter("Choices")] == ["Sentiment", "Mood"]


def test_a_code_takes_the_place_of_the_one_with_its_name() -> None:
    config = add_codes(read_template("visual_coding.xml"), [code("Sentiment=Yes,No")])
    root = defusedxml.ElementTree.fromstring(config)
    assert [each.attrib["value"] for each in root.iter("Choice")] == ["Yes", "No"]
    assert [each.attrib["value"] for each in root.iter("Header")] == ["Sentiment"]


def test_without_codes_a_template_stays_as_it_is_written() -> None:
    template = read_template("runway_fashion.xml")
    assert add_codes(template, []) == template
    assert "<!--" in template


def test_a_name_of_something_else_is_not_taken() -> None:
    with pytest.raises(SettingsError, match="TextArea named 'note'"):
        add_codes(PLAIN, [code("note=a,b")])


@pytest.mark.parametrize("text", ["", "Sentiment", "=a,b", "A=", "A=one", "A=b,b", "A=,"])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="not a code"):
        code(text)


def test_a_template_is_a_file_or_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "own.xml").write_text(PLAIN)
    assert read_template(str(tmp_path / "own.xml")) == PLAIN
    assert read_template("polygons") == read_template("polygons.xml")
    with pytest.raises(SettingsError, match="there is no template") as caught:
        read_template("none.xml")
    assert "visual_coding.xml" in caught.value.hint


def test_a_mistyped_path_is_told_and_never_one_of_our_templates_instead(tmp_path: Path) -> None:
    (tmp_path / "polygons.xml").write_text(PLAIN)
    for name in (tmp_path / "mine" / "polygons.xml", tmp_path / "polygons", tmp_path / ""):
        with pytest.raises(SettingsError, match=f"template.*{tmp_path}"):
            read_template(str(name))


def images(*attributes: str) -> str:
    tags = (f'<Image name="i{n}" {each}/>' for n, each in enumerate(attributes))
    return f"<View>{''.join(tags)}</View>"


def test_the_fields_of_images_are_found_whatever_their_names() -> None:
    assert task_fields(PLAIN) == (TaskField("Photo"),)
    two = images('value="$Photo"', 'value="$Back"', 'value="$Photo"')
    assert task_fields(two) == (TaskField("Photo"), TaskField("Back"))
    assert task_fields(images('valueList="$Photos"')) == (TaskField("Photos", pages=True),)
    labels = '<Labels name="l" toName="pic" value="$names"/></View>'
    shown = task_fields(PLAIN.replace("</View>", labels))
    assert shown == (TaskField("Photo"), TaskField("names", labels=True))


@pytest.mark.parametrize("path", ["photo.url", "images[0]", "looks[0].front", "images[2]"])
def test_the_image_may_be_at_a_path(path: str) -> None:
    assert task_fields(PLAIN.replace("$Photo", f"${path}")) == (TaskField(path),)
    assert look_up(place([(path, "x.jpg")]), path) == "x.jpg"


def test_values_at_paths_into_one_list_or_object_are_together() -> None:
    values = [("images[2]", "c"), ("images[0]", "a"), ("photo.url", "u"), ("photo.size.x", 3)]
    assert place(values) == {"images": ["a", None, "c"], "photo": {"url": "u", "size": {"x": 3}}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('value="$photo"', 'value="$photo.url"'),
        ('value="$photo.url"', 'value="$photo"'),
        ('value="$photos"', 'valueList="$photos"'),
        ('value="$a"', 'value="$photos[1000]"'),
        ('value="$a[0]"', 'value="$a.b"'),
    ],
)
def test_fields_that_no_task_can_have_together_are_refused(first: str, second: str) -> None:
    with pytest.raises(SettingsError, match="no task can hold"):
        task_fields(images(first, second))


def test_an_image_of_all_tasks_needs_no_field_and_is_refused_alone() -> None:
    legend = 'value="https://h/legend.png"'
    assert task_fields(images(legend, 'value="$photo"')) == (TaskField("photo"),)
    with pytest.raises(LabelConfigError, match="every task would show the same image"):
        task_fields(images(legend))
    with pytest.raises(LabelConfigError, match="fixed address before the variable"):
        task_fields(images('value="https://h/$photo"'))
    with pytest.raises(LabelConfigError, match="shows no Image"):
        task_fields("<View/>")


def test_the_polygons_template_has_the_garments_of_the_others() -> None:
    (masks,) = parse_label_config(read_template("runway_fashion")).mask_controls()
    (outlines,) = parse_label_config(read_template("polygons")).mask_controls()
    assert outlines.type == "polygonlabels"
    assert outlines.labels == masks.labels
