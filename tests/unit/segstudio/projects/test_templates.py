from pathlib import Path

import defusedxml.ElementTree
import pytest

from ml_backend.errors import SettingsError
from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.task_paths import look_up, put
from segstudio.projects.templates import (
    Code,
    add_codes,
    image_key,
    media_key,
    read_template,
    shows_pages,
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


def test_the_image_is_found_whatever_its_key() -> None:
    assert image_key(PLAIN) == "Photo"
    two = PLAIN.replace("<TextArea", '<Image name="b" value="$Back"/><TextArea')
    with pytest.raises(SettingsError, match="Photo, Back"):
        image_key(two)


@pytest.mark.parametrize("path", ["photo.url", "images[0]", "looks[0].front"])
def test_the_image_may_be_at_a_path(path: str) -> None:
    assert image_key(PLAIN.replace("$Photo", f"${path}")) == path
    assert look_up(put(path, "x.jpg"), path) == "x.jpg"


def test_pages_are_for_projects_alone_and_later_entries_for_none() -> None:
    pages = PLAIN.replace('value="$Photo"', 'valueList="$Photo"')
    assert (media_key(pages), shows_pages(pages)) == ("Photo", True)
    with pytest.raises(SettingsError, match="shows pages: Photo"):
        image_key(pages)
    with pytest.raises(SettingsError, match=r"images\[1\] is not the first entry"):
        media_key(PLAIN.replace("$Photo", "$images[1]"))


def test_the_polygons_template_has_the_garments_of_the_others() -> None:
    (masks,) = parse_label_config(read_template("runway_fashion")).mask_controls()
    (outlines,) = parse_label_config(read_template("polygons")).mask_controls()
    assert outlines.type == "polygonlabels"
    assert outlines.labels == masks.labels
