"""Cheap, strong augmentation of 8-bit RGB pictures with OpenCV."""

import cv2
import numpy as np
import numpy.typing as npt

from synthetic.textures import draw_background
from training.data import Picture

Matrix = npt.NDArray[np.float64]
ZOOM = (-0.3, 0.7)  # beyond the fit, as natural logarithms


def random_view(
    rng: np.random.Generator,
    source: tuple[int, int],
    target: tuple[int, int],
    zoom: tuple[float, float] = ZOOM,
) -> Matrix:
    """Return a (2, 3) matrix from ``source`` to ``target``: fitted, zoomed, rotated, shifted.

    Args:
        rng: Random generator of the view.
        source: Height and width of the picture.
        target: Height and width of the view.
        zoom: Minimum and maximum zoom beyond the fit, as natural logarithms.
    """
    (height, width), (rows, columns) = source, target
    fit = max(rows / height, columns / width) * np.exp(rng.uniform(*zoom))
    stretch = np.exp(rng.uniform(-0.12, 0.12))
    angle = np.deg2rad(rng.normal(0, 5))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = fit * turn @ np.diag([stretch, 1 / stretch])
    linear[:, 0] *= rng.choice((-1, 1))
    room = np.abs(np.abs(np.diag(linear)) * (width, height) - (columns, rows))
    room += 0.08 * np.array((columns, rows))
    shift = rng.uniform(-0.5, 0.5, 2) * room
    offset = np.array((columns, rows)) / 2 + shift - linear @ np.array((width, height)) / 2
    return np.column_stack([linear, offset])


def warp(picture: Picture, view: Matrix, size: tuple[int, int]) -> Picture:
    """Return the picture in a view; beyond its edge, pixels are repeated."""
    flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    warped = cv2.warpAffine(picture, view, size[::-1], flags=flags, borderMode=border)
    return np.asarray(warped, np.uint8)


def warp_labels(labels: Picture, view: Matrix, size: tuple[int, int], outside: int = 0) -> Picture:
    """Return the label of each pixel of a view of ``size`` (the view's own or smaller)."""
    flags, border = cv2.INTER_NEAREST, cv2.BORDER_CONSTANT
    warped = cv2.warpAffine(
        labels, view, size[::-1], flags=flags, borderMode=border, borderValue=(outside,)
    )
    return np.asarray(warped, np.uint8)


def recolour(rng: np.random.Generator, picture: Picture) -> Picture:
    """Vary light, film and camera."""
    mixed = _saturate(picture, rng.choice((0.0, rng.uniform(0.5, 1.5)), p=(0.06, 0.94)))
    exposed = _expose(rng, mixed)
    if rng.random() < 0.2:
        exposed = np.asarray(cv2.GaussianBlur(exposed, (0, 0), rng.uniform(0.3, 1.2)), np.uint8)
    if rng.random() < 0.25:
        exposed = _grain(rng, exposed)
    if rng.random() < 0.2:
        exposed = _jpeg(exposed, int(rng.integers(25, 85)))
    return exposed


def _saturate(picture: Picture, amount: float) -> Picture:
    grey = np.tile(np.array([[0.299, 0.587, 0.114]]), (3, 1))
    return np.asarray(cv2.transform(picture, amount * np.eye(3) + (1 - amount) * grey), np.uint8)


def _expose(rng: np.random.Generator, picture: Picture) -> Picture:
    """Vary gamma, contrast, brightness and white balance by one table for each channel."""
    ramp = np.linspace(0, 1, 256)[:, None]
    dark = rng.random() < 0.12
    gain = rng.uniform(0.3, 0.7) if dark else np.exp(rng.normal(0, 0.2))
    balance = np.exp(rng.normal(0, 0.07, 3))
    curve = ramp ** np.exp(rng.normal(0, 0.25))
    curve = 0.5 + (curve - 0.5) * np.exp(rng.normal(0, 0.18))
    table = np.clip(curve * gain * balance * 255, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table[None]), np.uint8)


def _grain(rng: np.random.Generator, picture: Picture) -> Picture:
    coarse = rng.standard_normal((picture.shape[0], picture.shape[1], 1), np.float32)
    noisy = picture + coarse * np.float32(rng.uniform(3, 14))
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)


def _jpeg(picture: Picture, quality: int) -> Picture:
    _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def replace_background(rng: np.random.Generator, picture: Picture, behind: Picture) -> Picture:
    """Put a drawn background where ``behind``, (h, w) of any size, is nonzero."""
    height, width = picture.shape[:2]
    small = draw_background(rng, height // 2, width // 2)
    drawn = cv2.resize(small, (width, height))
    share = cv2.resize((behind > 0).astype(np.float32), (width, height))
    share = cv2.GaussianBlur(share, (0, 0), 1.0)[..., None]
    return (picture * (1 - share) + drawn * share).astype(np.uint8)
