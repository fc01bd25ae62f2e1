"""Colors, fabrics and backgrounds of drawn figures: (H, W, 3) float32 pictures, 0..255."""

from collections.abc import Callable
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Pattern = Literal["plain", "stripes", "checks", "dots", "knit", "print"]


def random_colour(rng: np.random.Generator) -> Floats:
    """Return an (3,) RGB color: often gray, black or muted, as clothes are."""
    value = rng.uniform(20, 245)
    chroma = rng.uniform(0, 0.7) if rng.random() < 0.7 else 0.0
    hue = rng.uniform(0, 2 * np.pi)
    wheel = np.cos(hue - np.array((0, 2, 4)) * np.pi / 3)
    return np.clip(value * (1 + chroma * wheel), 8, 250).astype(np.float32)


def smooth_noise(rng: np.random.Generator, height: int, width: int, cells: int) -> Floats:
    """Return an (H, W) field in about -1..1 with ``cells`` hills along the longer side."""
    longer = max(height, width)
    grid = rng.normal(0, 0.5, (max(2, cells * height // longer), max(2, cells * width // longer)))
    hills = cv2.resize(grid.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(hills, np.float32)


def draw_fabric(
    rng: np.random.Generator,
    size: tuple[int, int],
    colour: npt.NDArray[np.floating],
    pattern: Pattern | None = None,
) -> Floats:
    """Draw a picture full of one fabric, with folds and light.

    Args:
        rng: Random generator of pattern (unless given), second color, folds and light.
        size: Height and width in pixels.
        colour: Ground color (3,) RGB, 0..255.
        pattern: Pattern of the fabric; None: a random one.
    """
    if pattern is None:
        pattern = get_args(Pattern)[rng.integers(len(get_args(Pattern)))]
    share = _pattern(rng, *size, pattern)[..., None]
    picture = colour * (1 - share) + random_colour(rng) * share
    return np.asarray(picture * _shade(rng, *size)[..., None], np.float32)


def _pattern(rng: np.random.Generator, height: int, width: int, pattern: Pattern) -> Floats:
    """Return the share of the second color at each pixel, (H, W) in 0..1."""
    ys, xs = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    turn, waves = rng.uniform(0, np.pi), rng.uniform(130, 420)
    along = np.sin((xs * np.cos(turn) + ys * np.sin(turn)) * waves)
    across = np.sin((ys * np.cos(turn) - xs * np.sin(turn)) * waves)
    blank = np.zeros((height, width), np.float32)
    fields: dict[Pattern, Callable[[], Floats]] = {
        "plain": lambda: blank,
        "stripes": lambda: np.float32(1) * (along > 0.2),
        "checks": lambda: ((along > 0).astype(np.float32) + (across > 0)) / 2,
        "dots": lambda: (along * across > 0.5).astype(np.float32),
        "knit": lambda: np.clip(smooth_noise(rng, height, width, 160), -1, 1) * 0.12 + 0.12,
        "print": lambda: (smooth_noise(rng, height, width, 40) > 0.25).astype(np.float32),
    }
    return fields[pattern]()


def _shade(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Return folds (fine across, long down) and uneven light as a factor for each pixel."""
    folds = smooth_noise(rng, max(2, height // 5), width, 45)
    folds = np.asarray(cv2.resize(folds, (width, height)), np.float32)
    light = smooth_noise(rng, height, width, 6)
    factor = 1 + rng.uniform(0.03, 0.14) * folds + rng.uniform(0.03, 0.16) * light
    return np.asarray(np.clip(factor, 0.4, 1.5), np.float32)


def draw_background(rng: np.random.Generator, height: int, width: int) -> Floats:
    """Draw a street wall, a studio sweep, a blurred crowd or a dark runway."""
    top, bottom = random_colour(rng), random_colour(rng)
    if rng.random() < 0.3:
        top, bottom = top * 0.15, bottom * 0.5
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** rng.uniform(0.5, 3)
    picture = np.repeat(top * (1 - ramp) + bottom * ramp, width, axis=1)
    if rng.random() < 0.6:
        picture = _clutter(rng, picture)
    if rng.random() < 0.5:
        picture[int(height * rng.uniform(0.7, 0.9)) :] *= rng.uniform(0.6, 1.3)
    texture = smooth_noise(rng, height, width, int(rng.integers(4, 200)))
    picture += rng.uniform(0, 22) * texture[..., None]
    return np.asarray(np.clip(picture, 0, 255), np.float32)


def _clutter(rng: np.random.Generator, picture: Floats) -> Floats:
    """Draw boxes and blobs, more or less out of focus."""
    height, width = picture.shape[:2]
    for _ in range(rng.integers(2, 14)):
        colour = tuple(float(c) for c in random_colour(rng))
        x, y = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        half = (int(rng.uniform(0.02, 0.3) * width), int(rng.uniform(0.02, 0.3) * height))
        if rng.random() < 0.5:
            cv2.rectangle(
                picture, (x - half[0], y - half[1]), (x + half[0], y + half[1]), colour, -1
            )
        else:
            cv2.ellipse(picture, (x, y), half, rng.uniform(0, 180), 0, 360, colour, -1)
    blur = rng.uniform(0.002, 0.03) * max(height, width)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(0.4, blur)), np.float32)
