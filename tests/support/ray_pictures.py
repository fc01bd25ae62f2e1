"""Folders of small pictures, each with garments of its own."""

from pathlib import Path

import cv2
import numpy as np

CONFIG = """<View><Image name="image" value="$image"/>
<BrushLabels name="mask" toName="image"><Label value="dress"/><Label value="hat"/></BrushLabels>
</View>"""


def draw(number: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB, different for each number."""
    random = np.random.default_rng(number)
    image = np.zeros((int(random.integers(30, 50)), int(random.integers(20, 40)), 3), np.uint8)
    for channel in (0, 1):
        top, left = random.integers(0, 15, 2)
        height, width = random.integers(3, 15, 2)
        image[top : top + height, left : left + width, channel] = random.integers(120, 255)
    return image


def fill(folder: Path, count: int, broken: tuple[int, ...] = ()) -> list[str]:
    """Write pictures; the broken ones are cut in half. Returns their names."""
    folder.mkdir()
    names = [f"{number:05d}.png" for number in range(count)]
    for number, name in enumerate(names):
        encoded = cv2.imencode(".png", draw(number)[:, :, ::-1])[1].tobytes()
        half = len(encoded) // 2 if number in broken else None
        (folder / name).write_bytes(encoded[:half])
    return names
