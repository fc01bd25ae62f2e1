"""A project whose labels no shipped model knows: its label config, pictures and annotations."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_backend.labelstudio.brush_rle import encode_rle
from tests.support.drawn_labels import LABELS, draw_things

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]

CONFIG = """<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="mask" toName="image" smart="false">
    <Label value="ball"/><Label value="crate"/>
  </BrushLabels>
  <RectangleLabels name="box" toName="image" smart="true">
    <Label value="ball"/><Label value="crate"/>
  </RectangleLabels>
</View>"""


def draw_labeled(seed: int) -> tuple[Pixels, dict[str, Mask]]:
    """Draw a picture of the things; returns it and the mask of each that appears."""
    pixels, indices = draw_things(seed)
    return pixels, {LABELS[index]: indices == index for index in np.unique(indices) if index}


def brush_result(masks: Mapping[str, Mask]) -> list[dict[str, Any]]:
    """Return what a labeler submits who drew these masks."""
    return [
        {
            "id": f"id of {label}",
            "from_name": "mask",
            "to_name": "image",
            "type": "brushlabels",
            "original_width": mask.shape[1],
            "original_height": mask.shape[0],
            "image_rotation": 0,
            "value": {"format": "rle", "rle": encode_rle(mask), "brushlabels": [label]},
        }
        for label, mask in masks.items()
    ]
