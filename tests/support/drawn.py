"""Entries of an annotation's result, as Label Studio 1.23.2 stores them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ml_backend.labelstudio.brush_rle import encode_rle

WIDTH, HEIGHT = 60, 40

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="mask" toName="image">
    <Label value="dress" background="#ff8000"/><Label value="hat"/><Label value="bag"/>
  </BrushLabels>
  <PolygonLabels name="outline" toName="image">
    <Label value="dress"/><Label value="shoe"/>
  </PolygonLabels>
  <RectangleLabels name="box" toName="image"><Label value="dress"/></RectangleLabels>
  <KeyPointLabels name="point" toName="image"><Label value="dress"/></KeyPointLabels>
  <Choices name="Sentiment" toName="image">
    <Choice value="Positive"/><Choice value="Negative"/>
  </Choices>
  <Choices name="Objects" toName="image" choice="multiple">
    <Choice value="Flag"/><Choice value="Person"/>
  </Choices>
  <TextArea name="note" toName="image"/>
  <Rating name="stars" toName="image"/>
</View>"""

Entry = dict[str, Any]


def rectangle_mask(left: int, top: int, width: int, height: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def brush(id_: str, label: str, mask: npt.NDArray[np.bool_]) -> Entry:
    value = {"format": "rle", "rle": encode_rle(mask), "brushlabels": [label]}
    return _region(id_, "mask", "brushlabels", value)


def polygon(id_: str, label: str, *corners: tuple[float, float]) -> Entry:
    """Corners in pixels."""
    points = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in corners]
    value = {"points": points, "closed": True, "polygonlabels": [label]}
    return _region(id_, "outline", "polygonlabels", value)


def box(
    id_: str, label: str, left: float, top: float, width: float, height: float, rotation: float = 0
) -> Entry:
    """In pixels, and degrees clockwise about the top left corner."""
    value = {
        "x": 100 * left / WIDTH,
        "y": 100 * top / HEIGHT,
        "width": 100 * width / WIDTH,
        "height": 100 * height / HEIGHT,
        "rotation": rotation,
        "rectanglelabels": [label],
    }
    return _region(id_, "box", "rectanglelabels", value)


def point(id_: str, label: str) -> Entry:
    value = {"x": 10.0, "y": 10.0, "width": 0.5, "keypointlabels": [label]}
    return _region(id_, "point", "keypointlabels", value)


def choice(control: str, *values: str) -> Entry:
    return {
        "id": f"id of {control}",
        "from_name": control,
        "to_name": "image",
        "type": "choices",
        "value": {"choices": list(values)},
    }


def _region(id_: str, control: str, kind: str, value: dict[str, Any]) -> Entry:
    return {
        "id": id_,
        "from_name": control,
        "to_name": "image",
        "type": kind,
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": value,
    }
