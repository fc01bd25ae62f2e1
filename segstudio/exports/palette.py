"""Which index and colour each label has."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from PIL import ImageColor

from ml_backend.errors import SegstudioError
from segstudio.annotations import LabeledProject
from segstudio.regions import mask_shapes

Color = tuple[int, int, int]

_MOST = 255


class PaletteError(SegstudioError):
    """There are more labels than a PNG has indices."""

    kind = "palette"


class Palette:
    """Indices of labels: 0 is the background, then the labels in the label config's order.

    Labels that no label config has any more get the next index when they first come.
    """

    def __init__(self, projects: Iterable[LabeledProject]) -> None:
        self._indices: dict[str, int] = {}
        self.colors: list[Color] = [_voc_color(index) for index in range(256)]
        for project in projects:
            shapes = mask_shapes(project.controls, with_boxes=True)
            for control in project.controls:
                if control.kind == "labels" or control.kind.removesuffix("labels") in shapes:
                    for label in control.labels:
                        self._add(label, control.backgrounds.get(label, ""))

    def __getitem__(self, label: str) -> int:
        """The index of a label, 1..255.

        Raises:
            PaletteError: It would be the 256th.
        """
        return self._indices.get(label) or self._add(label, "")

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Index, label and colour of each, the background first."""
        for label, index in {"background": 0, **self._indices}.items():
            yield str(index), label, "#{:02x}{:02x}{:02x}".format(*self.colors[index])

    def _add(self, label: str, background: str) -> int:
        if label in self._indices:
            return self._indices[label]
        if len(self._indices) == _MOST:
            raise PaletteError(
                f"there are more than {_MOST} labels, and a PNG has no index for {label!r}",
                "use --format coco",
            )
        index = self._indices[label] = len(self._indices) + 1
        with suppress(ValueError):  # no colour, or one that only browsers know
            self.colors[index] = ImageColor.getrgb(background)[:3]
        return index


def _voc_color(index: int) -> Color:
    """The colour of an index in PASCAL VOC's masks: far from its neighbours', black for 0."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]
