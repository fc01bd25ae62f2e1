"""Drawn scenes with known objects, and a model that finds them exactly."""

import base64
import threading
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ml_backend.deadline import Deadline
from sam_backend.models.base import Embedding, Layout, Mask, Prompts

LABEL_CONFIG = """<View><Image name="image" value="$image"/>
  <BrushLabels name="brush" toName="image">
    <Label value="Shirt"/><Label value="Dress"/></BrushLabels>
  <KeyPointLabels name="point" toName="image" smart="true">
    <Label value="Shirt"/><Label value="Dress"/></KeyPointLabels>
  <RectangleLabels name="box" toName="image" smart="true">
    <Label value="Shirt"/><Label value="Dress"/></RectangleLabels>
</View>"""

Pixels = npt.NDArray[np.uint8]
Disc = tuple[int, int, int]
"""Centre x, centre y, radius, in pixels."""


def soon() -> Deadline:
    """A deadline that no test reaches."""
    return Deadline.after(60)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait on an event that nobody sets, in small steps, until the condition holds."""
    never = threading.Event()
    deadline = soon()
    while not condition():
        deadline.remaining()
        never.wait(0.001)


def draw(discs: Sequence[Disc], height: int = 96, width: int = 128) -> Pixels:
    """Discs, each of its own colour, on grey."""
    image = np.full((height, width, 3), 128, np.uint8)
    for index, (x, y, radius) in enumerate(discs):
        colour = ((40 + 90 * index) % 256, 200 - 60 * (index % 3), 30 + 20 * index)
        cv2.circle(image, (x, y), radius, colour, cv2.FILLED)
    return image


def disc_mask(disc: Disc, height: int = 96, width: int = 128) -> npt.NDArray[np.bool_]:
    """(height, width) where the disc is."""
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, disc[:2], disc[2], (1,), cv2.FILLED)
    return mask > 0


def data_uri(image: Pixels) -> str:
    """The image as Label Studio may hold it in a task."""
    png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()


class FillModel:
    """Flood fill: the areas of one colour around the positive points, or in the box's middle.

    With ``previous``, the area of the last point is added to it or taken away from it; without,
    areas of negative points are taken away last. So it shows which masks were built on.
    """

    version = "fill-1"
    device = "cpu"
    input_side: int | None = None

    def __init__(self) -> None:
        self.embedded: list[Pixels] = []
        self.segmented: list[tuple[Prompts, bool]] = []
        self.may_embed = threading.Event()
        self.may_embed.set()

    def embed(self, image: Pixels) -> Embedding:
        self.embedded.append(image)
        assert self.may_embed.wait(60)
        return Embedding(image.shape[0], image.shape[1], {"image": torch.tensor(image)})

    def layout(self, height: int, width: int) -> Layout:
        return {"image": ((height, width, 3), torch.uint8)}

    def segment(self, embedding: Embedding, prompts: Prompts, previous: Mask | None = None) -> Mask:
        self.segmented.append((prompts, previous is not None))
        image = np.asarray(embedding.tensors["image"], np.uint8)
        if previous:
            pixels = previous.pixels.copy()
            points = prompts.points[-1:]
        else:
            pixels = np.zeros(image.shape[:2], np.bool_)
            points = tuple(sorted(prompts.points, key=lambda point: not point.positive))
            if box := prompts.box:
                pixels |= _fill(image, (box.left + box.right) / 2, (box.top + box.bottom) / 2)
        for point in points:
            area = _fill(image, point.x, point.y)
            pixels = pixels | area if point.positive else pixels & ~area
        return Mask(pixels, 0.9 - 0.1 * bool(prompts.box), pixels.astype(np.float16))


def _fill(image: Pixels, x: float, y: float) -> npt.NDArray[np.bool_]:
    height, width = image.shape[:2]
    filled = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | (1 << 8)
    cv2.floodFill(image.copy(), filled, (int(x), int(y)), (0, 0, 0), flags=flags)
    return filled[1:-1, 1:-1] > 0
