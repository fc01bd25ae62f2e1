"""The parse of a label config is that of label-studio-sdk, Label Studio's own library."""

from typing import Any

from hypothesis import given
from label_studio_sdk._extensions.label_studio_tools.core.label_config import parse_config
from label_studio_sdk.label_interface.interface import LabelInterface

from ml_backend.labelstudio.label_config import LabelConfig, parse_label_config
from tests.support.label_configs import label_configs


def read(xml: str) -> LabelConfig:
    return parse_label_config(xml, require_image=False)


def control(tag: Any, to_name: str) -> tuple[Any, ...]:
    """What the SDK reads of a control."""
    labels = [
        (value, _names(label.attr), label.attr.get("background", ""))
        for value, label in tag.labels_attrs.items()
    ]
    return tag.name, tag.tag.lower(), to_name, labels


def _names(attributes: dict[str, str]) -> tuple[str, ...]:
    listed = attributes.get("predicted_values", "").split(",")
    return tuple(name.strip() for name in listed if name.strip())


@given(label_configs())
def test_controls_labels_and_images_are_those_that_the_sdk_reads(xml: str) -> None:
    expected, found = LabelInterface(xml), read(xml)
    assert [
        (c.name, c.type, c.to_name, [(x.value, x.predicted_values, x.background) for x in c.labels])
        for c in found.controls
    ] == [control(tag, to_name) for tag in expected.controls for to_name in tag.to_name]
    assert {image.name: image.written for image in found.images.values()} == {
        tag.name: tag.value for tag in expected.objects if tag.tag == "Image"
    }


@given(label_configs())
def test_exports_get_the_controls_that_label_studio_tells_of_a_project(xml: str) -> None:
    told = parse_config(xml)
    found = {c.name: (c.type, [label.value for label in c.labels]) for c in read(xml).controls}
    assert found == {name: (c["type"].lower(), c["labels"]) for name, c in told.items()}


def test_as_many_levels_are_read_as_the_sdk_reads() -> None:
    deepest = "<View>" * 255 + '<Image name="a" value="$a"/>' + "</View>" * 255
    assert LabelInterface(deepest)
    assert read(deepest).images
