"""Scenes of overlapping things without a class, so that training is not limited to fashion."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from synthetic.people import draw_figure
from synthetic.textures import draw_background, draw_fabric, random_colour, smooth_noise

Bools = npt.NDArray[np.bool_]
Picture = npt.NDArray[np.uint8]
Scene = tuple[Picture, list[Bools]]  # (H, W, 3) RGB and the visible part of each thing
_LETTERS = "ABCDEFGHJKLMNPRSTUXYZ0123456789&?"


def draw_scene(seed: int, size: int = 288) -> Scene:
    """Draw a square picture of a few things, or (one in three) of a dressed person."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.33:
        figure = draw_figure(seed, size * 3 // 2, size)
        return figure.image, [*figure.masks.values(), *figure.body.values()]
    pixels = draw_background(rng, size, size)
    masks: list[Bools] = []
    for _ in range(rng.integers(1, 7)):
        mask = _SHAPES[rng.integers(len(_SHAPES))](rng, size)
        fabric = draw_fabric(rng, (size, size), random_colour(rng))
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), rng.uniform(0.4, 1.2))[..., None]
        pixels += soft * (fabric - pixels)
        masks = [earlier & ~mask for earlier in masks] + [mask]
    noise = rng.normal(0, rng.uniform(0, 7), pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8), masks


def _polygon(rng: np.random.Generator, size: int) -> Bools:
    corners = rng.integers(3, 9)
    turn = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = rng.uniform(0.05, 0.35) * size * rng.uniform(0.5, 1.2, corners)
    centre = rng.uniform(0.15, 0.85, 2) * size
    outline = centre + np.column_stack([np.cos(turn), np.sin(turn)]) * reach[:, None]
    return _painted(size, lambda c: cv2.fillPoly(c, [outline.astype(np.int32)], (1,)))


def _ellipse(rng: np.random.Generator, size: int) -> Bools:
    x, y = (rng.uniform(0.15, 0.85, 2) * size).astype(int)
    wide, tall = (rng.uniform(0.04, 0.33, 2) * size).astype(int)
    angle, thick = rng.uniform(0, 180), cv2.FILLED if rng.random() < 0.8 else int(0.05 * size)
    axes = (int(wide), int(tall))
    return _painted(
        size, lambda c: cv2.ellipse(c, (int(x), int(y)), axes, angle, 0, 360, (1,), thick)
    )


def _blob(rng: np.random.Generator, size: int) -> Bools:
    hills = smooth_noise(rng, size, size, int(rng.integers(4, 10)))
    ys, xs = np.mgrid[:size, :size] / size
    x, y = rng.uniform(0.2, 0.8, 2)
    reach = rng.uniform(0.12, 0.35)
    return np.asarray(np.hypot(xs - x, ys - y) < reach * (1 + 0.7 * hills))


def _letter(rng: np.random.Generator, size: int) -> Bools:
    letter, scale = _LETTERS[rng.integers(len(_LETTERS))], rng.uniform(0.006, 0.025) * size
    at = (int(rng.uniform(0, 0.6) * size), int(rng.uniform(0.4, 1) * size))
    thick = max(2, int(scale * rng.uniform(2, 6)))
    font = cv2.FONT_HERSHEY_SIMPLEX
    return _painted(size, lambda c: cv2.putText(c, letter, at, font, scale, (1,), thick))


def _painted(size: int, paint: Callable[[Picture], object]) -> Bools:
    canvas = np.zeros((size, size), np.uint8)
    paint(canvas)
    return canvas > 0


_SHAPES: tuple[Callable[[np.random.Generator, int], Bools], ...] = (
    _polygon,
    _polygon,
    _ellipse,
    _blob,
    _blob,
    _letter,
)
