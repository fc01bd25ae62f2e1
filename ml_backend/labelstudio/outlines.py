"""Convert masks to outlines along pixel edges, and outlines to masks.

An outline is a closed ring, (N, 2) float64 corners as x, y in pixels from the image's top left
corner. A hole is joined to the ring around it by a zero-width cut, so a single ring represents
both, with the even-odd and the non-zero fill rule.
"""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Outline = npt.NDArray[np.float64]

DEFAULT_TOLERANCE = 1.5
"""Default maximum deviation of an outline from the mask, in pixels."""

LEAST_IOU = 0.985
"""Minimum IoU of a simplified part with the original, by default."""

_FEWEST_CORNERS = 3
_INSET = 0.01
"""Distance of corners inside the pixel edges: programs that round then find the same pixels."""

_EXACT = 0.1
"""Tolerance below which every corner of a pixel stays."""


def trace(
    mask: Mask, tolerance: float | None = None, max_points: int | None = None
) -> list[Outline]:
    """Outline each connected part (8 neighbors) of a mask, with its holes.

    Args:
        mask: (H, W) bool.
        tolerance: Maximum deviation from the pixels' edges in pixels; 0 keeps every corner. None:
            ``DEFAULT_TOLERANCE``, reduced for each part until its IoU with the original is at least
            ``LEAST_IOU``.
        max_points: Maximum corners of an outline, at least 3; None: no limit.

    Returns:
        One outline for each part; no part is dropped, however thin.
    """
    least = LEAST_IOU if tolerance is None else 0.0
    return [
        _simplify_part(
            rings, DEFAULT_TOLERANCE if tolerance is None else tolerance, least, max_points
        )
        for rings in _parts(mask)
    ]


def fill(outline: Outline, height: int, width: int) -> Mask:
    """Fill an outline by the non-zero rule: the pixels whose centers are inside.

    Args:
        outline: Outline of three or more corners, which may lie outside the image.
        height: Image height in pixels.
        width: Image width in pixels.

    Returns:
        (height, width) bool.
    """
    filled = np.zeros((height, width), np.bool_)
    left, top = np.clip(np.floor(outline.min(axis=0)), 0, [width, height]).astype(int)
    right, bottom = np.clip(np.ceil(outline.max(axis=0)), 0, [width, height]).astype(int)
    window = np.s_[top:bottom, left:right]
    filled[window] = _fill_window(outline - [left, top], bottom - top, right - left)
    return filled


def _fill_window(outline: Outline, height: int, width: int) -> Mask:
    # Rows whose centers an edge crosses, from the first inside the window to the last.
    start, end = outline, np.roll(outline, -1, axis=0)
    rows = np.clip(np.ceil(np.stack([start[:, 1], end[:, 1]]) - 0.5), 0, height).astype(np.int64)
    first, counts = rows.min(axis=0), np.abs(rows[1] - rows[0])
    edge = np.repeat(np.arange(len(outline)), counts)
    row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    # Both ways along a cut to a hole have to cross a row at the same float.
    down = (start[:, 1] < end[:, 1])[:, None]
    upper, lower = np.where(down, start, end), np.where(down, end, start)
    (x, y), (dx, dy) = upper[edge].T, (lower - upper)[edge].T
    crossing = x + (row + 0.5 - y) * dx / dy
    column = np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)
    winding = np.zeros((height, width + 1), np.int32)
    np.add.at(winding, (row, column), np.where(down[edge, 0], 1, -1))
    filled: Mask = np.cumsum(winding[:, :-1], axis=1, dtype=np.int32) != 0
    return filled


def _parts(mask: Mask) -> list[list[Outline]]:
    """Return the outer ring and the holes of each connected part."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    around = mask[y : y + height, x : x + width].view(np.uint8)
    # OpenCV's outlines run through pixel centers: on an image scaled by 2, these are a quarter
    # of a pixel off the pixel edges, so rounding leads to the edges.
    twice = np.repeat(np.repeat(around, 2, axis=0), 2, axis=1)
    found, hierarchy = cv2.findContours(twice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parts: dict[int, list[Outline]] = {}
    for index, ring in enumerate(found):
        parent = int(hierarchy[0][index][3])
        parts.setdefault(index if parent < 0 else parent, []).append(
            _corners((ring[:, 0] + 0.5) / 2) + np.array([x, y])
        )
    return list(parts.values())


def _corners(inside: Outline) -> Outline:
    """Return the corners of the pixel edges, without those on a straight edge."""
    edges = np.round(inside)
    changed = np.any(edges != np.roll(edges, 1, axis=0), axis=1)
    inside, edges = inside[changed], edges[changed]
    before, after = edges - np.roll(edges, 1, axis=0), np.roll(edges, -1, axis=0) - edges
    turning = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    corners: Outline = (edges + 4 * _INSET * (inside - edges))[turning]
    return corners


def _simplify_part(
    rings: list[Outline], tolerance: float, least_iou: float, max_points: int | None
) -> Outline:
    outline = _finest(lambda pixels: _join(rings, pixels), _join(rings, 0), tolerance, least_iou)
    if max_points is None:
        return outline
    extent = float(np.ptp(rings[0], axis=0).max())
    while len(outline) > max_points and tolerance < extent:
        tolerance = max(tolerance, _EXACT) * 1.5
        outline = _join(rings, tolerance)
    fits = _FEWEST_CORNERS <= len(outline) <= max_points
    return outline if fits else _box(rings[0])[: max(max_points, _FEWEST_CORNERS)]


def _finest(
    simplify: Callable[[float], Outline], exact: Outline, tolerance: float, least_iou: float
) -> Outline:
    """Return the outline with the largest tolerance that keeps a part with ``least_iou``."""
    while tolerance > _EXACT:
        outline = simplify(tolerance)
        if len(outline) >= _FEWEST_CORNERS and _iou(outline, exact) > least_iou:
            return outline
        tolerance /= 2
    return exact


def _iou(one: Outline, other: Outline) -> float:
    """Return the intersection over union of two outlines."""
    corners = np.concatenate([one, other])
    first = np.floor(corners.min(axis=0))
    width, height = np.ceil(corners.max(axis=0) - first).astype(int)
    a, b = (fill(each - first, height, width) for each in (one, other))
    return float((a & b).sum() / max((a | b).sum(), 1))


def _join(rings: list[Outline], tolerance: float) -> Outline:
    """Simplify an outer ring and its holes, and join each hole to the ring by a cut."""
    outline, *holes = (_simplify(ring, tolerance) for ring in rings)
    for hole in holes:
        if len(hole) >= _FEWEST_CORNERS and len(outline):
            start = int(np.argmin(np.square(outline - hole[0]).sum(axis=1)))
            cut = [outline[: start + 1], hole, hole[:1], outline[start:]]
            outline = np.concatenate(cut)
    return outline


def _simplify(ring: Outline, tolerance: float) -> Outline:
    if not tolerance:
        return ring
    fine = np.round(ring[:, None] / _INSET).astype(np.int32)
    simple = cv2.approxPolyDP(fine, tolerance / _INSET, closed=True)[:, 0]
    corners: Outline = simple.astype(np.float64) * _INSET
    return corners


def _box(ring: Outline) -> Outline:
    (left, top), (right, bottom) = ring.min(axis=0), ring.max(axis=0)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
