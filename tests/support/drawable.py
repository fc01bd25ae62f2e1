"""Results that Label Studio draws, by its own library."""

from typing import Any

from label_studio_sdk.label_interface.interface import LabelInterface

from ml_backend.labelstudio.label_config import parse_label_config
from ml_backend.labelstudio.shapes import SHAPES
from tests.support.any_config import TASK_LABELS

Json = dict[str, Any]


def assert_drawable(results: list[Json], xml: str) -> None:
    """Check that Label Studio can draw results, by its own library's reading of the config."""
    interface = LabelInterface(xml)
    dynamic = {control.name for control in parse_label_config(xml).controls if control.dynamic}
    geometry: dict[str, Json] = {}
    for each in results:
        control = interface.get_control(each["from_name"])
        assert each["to_name"] in control.to_name
        assert each["type"] == control.tag.lower()
        if each["type"] == "choices":
            assert set(each["value"]["choices"]) <= set(control.labels_attrs)
            continue
        assert (each["original_width"], each["original_height"]) == (128, 96)
        labels = each["value"].get(each["type"], [])
        of_task = TASK_LABELS if control.name in dynamic else ()
        assert set(labels) <= {*control.labels_attrs, *of_task}
        if control.tag == "Labels":
            assert each["id"] in geometry, "the geometry comes first"
            # Label Studio's import refuses a list's result without the geometry.
            assert each["value"] == geometry[each["id"]] | {"labels": labels}
            assert labels
        else:
            shape = each["type"].removesuffix("labels")
            assert SHAPES[shape].keys <= each["value"].keys()
            geometry[each["id"]] = each["value"]
        source = interface.get_object(each["to_name"]).attr
        assert ("item_index" in each) == ("valueList" in source)
