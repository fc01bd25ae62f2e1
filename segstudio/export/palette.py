"""Index and color of each label."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress

from PIL import ImageColor

from ml_backend.labelstudio.annotations import LabeledProject
from ml_backend.labelstudio.results import mask_shapes

Color = tuple[int, int, int]


class Palette:
    """Indices of labels: 0 is the background, then the labels in label config order.

    Labels that are in no label config any more get the next index on first use.

    Attributes:
        colors: Colors by index, at least the 256 of a PNG.
    """

    def __init__(self, projects: Iterable[LabeledProject]) -> None:
        self._indices: dict[str, int] = {}
        self.colors: list[Color] = [_voc_color(index) for index in range(256)]
        for project in projects:
            shapes = mask_shapes(project.controls, with_boxes=True)
            for control in project.controls:
                if control.type == "labels" or control.type.removesuffix("labels") in shapes:
                    for label in control.labels:
                        self._add(label.value, label.background)

    def __getitem__(self, label: str) -> int:
        """Return the index of a label, counted from 1."""
        return self._indices.get(label) or self._add(label, "")

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels by index, counted from 1."""
        return tuple(self._indices)

    def categories(self) -> Iterator[str]:
        """Yield COCO's categories, as JSON."""
        for index, label, color in self.rows():
            if int(index):
                category = {"id": int(index), "name": label, "supercategory": "", "color": color}
                yield json.dumps({**category, "isthing": 1})

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Yield index, label and color of each label, the background first."""
        for index, label in enumerate(("background", *self.labels)):
            yield str(index), label, "#{:02x}{:02x}{:02x}".format(*self.colors[index])

    def _add(self, label: str, background: str) -> int:
        if label in self._indices:
            return self._indices[label]
        index = self._indices[label] = len(self._indices) + 1
        if index == len(self.colors):
            self.colors.append(_voc_color(index))
        with suppress(ValueError):  # not a color, or one that only browsers know
            self.colors[index] = ImageColor.getrgb(background)[:3]
        return index


def _voc_color(index: int) -> Color:
    """Return the color of an index in PASCAL VOC's palette; black for 0."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]
