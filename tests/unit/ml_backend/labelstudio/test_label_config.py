import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import ImageTag, Label, parse_label_config, refuse

FASHION = """<View>
  <!-- a comment -->
  <Header value="Name: $Name"/>
  <Image name="image" value="$image" zoom="true"/>
  <Choices name="kind" toName="image"><Choice value="runway"/></Choices>
  <RectangleLabels name="boxes" toName="image" smart="true"><Label value="Dress"/></RectangleLabels>
  <BrushLabels name="brush" toName="image">
    <Label value="Dress" predicted_values="gown, robe"/>
    <Label value="Long coat" alias="coat"/>
  </BrushLabels>
</View>"""


def test_masks_go_to_the_brush_whatever_stands_before_it() -> None:
    (control,) = parse_label_config(FASHION).mask_controls()
    assert (control.name, control.type, control.to_name) == ("brush", "brushlabels", "image")
    assert control.labels == (Label("Dress", ("gown", "robe")), Label("coat"))


def test_the_task_field_of_each_image_is_known() -> None:
    assert parse_label_config(FASHION).images == {"image": ImageTag("image", "image")}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [("PolygonLabels RectangleLabels", "polygonlabels"), ("RectangleLabels", "rectanglelabels")],
)
def test_without_a_brush_masks_become_polygons_or_boxes(tags: str, expected: str) -> None:
    controls = "".join(
        f'<{tag} name="{tag}" toName="image"><Label value="a"/></{tag}>' for tag in tags.split()
    )
    config = parse_label_config(f'<View><Image name="image" value="$x"/>{controls}</View>')
    assert [control.type for control in config.mask_controls()] == [expected]


def test_with_two_images_the_control_of_the_one_drawn_on_is_taken() -> None:
    both = "".join(
        f'<Image name="{n}" value="${n}"/>'
        f'<BrushLabels name="brush-{n}" toName="{n}"><Label value="a"/></BrushLabels>'
        for n in ("left", "right")
    )
    config = parse_label_config(f"<View>{both}</View>")
    assert [control.name for control in config.mask_controls("right")] == ["brush-right"]


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        ("", "not valid"),
        ("<View", "not valid"),
        ("<View/>", "shows no Image"),
        ('<View><Text name="t" value="$t"/></View>', "shows no Image"),
        ('<?xml version="1.0" encoding="UTF-8"?><View', "not valid"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]><View>&a;</View>', "not valid"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><View>&a;</View>', "not valid"),
    ],
)
def test_a_config_that_cannot_be_served_says_why(xml: str, said: str) -> None:
    with pytest.raises(LabelConfigError, match=said):
        parse_label_config(xml)


def test_a_config_without_any_mask_control_says_what_to_add() -> None:
    choices = '<Choices name="k" toName="i"><Choice value="a"/></Choices>'
    xml = f'<View><Image name="i" value="$i"/>{choices}</View>'
    with pytest.raises(LabelConfigError, match="BrushLabels"):
        refuse(parse_label_config(xml).problems_for_masks())


TOOLS = (
    '<Rectangle name="box" toName="image"/><KeyPoint name="point" toName="image"/>'
    '<Brush name="brush" toName="image" smart="false"/>'
)
ONE_LIST = f"""<View><Image name="image" value="$image"/>
  <Labels name="label" toName="image"><Label value="Dress"/><Label value="Hat"/></Labels>
  {TOOLS}</View>"""


def test_tools_without_labels_have_those_of_the_list_on_their_image() -> None:
    config = parse_label_config(ONE_LIST)
    (mask,) = config.mask_controls()
    assert (mask.name, mask.type, mask.labels_from) == ("brush", "brush", "label")
    assert [label.value for label in mask.labels] == ["Dress", "Hat"]
    assert {tool.name: len(tool.labels) for tool in config.smart_tools()} == {"box": 2, "point": 2}
    assert config.prompted_images() == ["image"]
    assert config.problems_for_prompts(reads_text=False) == []


def test_a_list_on_another_image_gives_no_labels() -> None:
    other = '<Image name="other" value="$other"/><Labels name="label" toName="other">'
    config = parse_label_config(ONE_LIST.replace('<Labels name="label" toName="image">', other))
    assert [(c.name, c.labels) for c in config.mask_controls("image")] == [("brush", ())]
    assert config.mask_controls("other") == ()


def test_where_a_list_and_labeled_controls_take_masks_the_finest_is_taken() -> None:
    boxes = '<RectangleLabels name="boxes" toName="image"><Label value="Bag"/></RectangleLabels>'
    config = parse_label_config(ONE_LIST.replace("<Brush", f"{boxes}<Brush"))
    assert [control.name for control in config.mask_controls()] == ["brush"]


def test_a_vector_takes_masks_where_it_closes() -> None:
    vector = '<VectorLabels name="v" toName="image"><Label value="a"/></VectorLabels>'
    xml = f'<View><Image name="image" value="$image"/>{vector}</View>'
    with pytest.raises(LabelConfigError, match="vectors do when they close"):
        refuse(parse_label_config(xml).problems_for_masks())
    closable = parse_label_config(xml.replace("<VectorLabels", '<VectorLabels closable="true"'))
    assert [control.name for control in closable.mask_controls()] == ["v"]


def test_without_any_labels_masks_have_none() -> None:
    config = parse_label_config(f'<View><Image name="image" value="$image"/>{TOOLS}</View>')
    assert [(c.name, c.labels) for c in config.mask_controls()] == [("brush", ())]
    assert config.problems_for_prompts(reads_text=False) == []


@pytest.mark.parametrize(
    "finest_last",
    ["keypoint rectangle ellipse vector polygon brush", "keypoint rectangle ellipse bitmask"],
)
def test_masks_go_to_the_finest_shape(finest_last: str) -> None:
    names = {"keypoint": "KeyPoint"}
    tags = [names.get(shape, shape.capitalize()) + "Labels" for shape in finest_last.split()]
    more = ' toName="i" closable="true"'
    controls = [f'<{tag} name="{tag}"{more}><Label value="a"/></{tag}>' for tag in tags]
    for count in range(1, len(tags) + 1):
        xml = f'<View><Image name="i" value="$i"/>{"".join(controls[:count])}</View>'
        (mask,) = parse_label_config(xml).mask_controls()
        assert mask.name == tags[count - 1]


def test_an_xml_declaration_is_no_obstacle() -> None:
    xml = '<?xml version="1.0" encoding="UTF-8"?>' + FASHION
    assert parse_label_config(xml).controls == parse_label_config(FASHION).controls


@pytest.mark.parametrize(
    ("attributes", "smart"),
    [
        ("", True),
        ('smart="true"', True),
        ('smart="False"', False),
        ('smart="false" smartOnly="true"', True),
    ],
)
def test_tools_are_smart_as_label_studio_has_it(attributes: str, smart: bool) -> None:
    control = f'<KeyPointLabels name="k" toName="image" {attributes}><Label value="a"/>'
    xml = f'<View><Image name="image" value="$x"/>{control}</KeyPointLabels></View>'
    assert [c.smart for c in parse_label_config(xml).controls] == [smart]
