"""Synthetic photographs of a dressed person, with the true mask of every garment.

No photograph may be shipped with the project, so drawings replace them: as sample images of
``make up``, as pictures with known masks in the tests, and as a small fraction of the training data
of the embedded networks. The same seed and size always give the same picture.

Coordinates are in figure heights: y runs from 0 (top of the head) to 1 (soles), x from the body's
axis to the right of the picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from synthetic.textures import Floats, Pattern, draw_background, draw_fabric, random_colour

Bools = npt.NDArray[np.bool_]
Outline = npt.NDArray[np.float64]  # (N, 2) x, y in figure heights
Shape = Sequence[Outline]  # the union of its outlines

_SKINS = ((236, 200, 176), (224, 172, 140), (198, 134, 96), (141, 85, 56), (92, 58, 40))
_HAIRS = (
    (30, 24, 22),
    (70, 44, 28),
    (120, 80, 46),
    (196, 160, 100),
    (150, 60, 34),
    (150, 148, 146),
)
_BODY = np.array(  # y, half width of the trunk
    [(0.165, 0.030), (0.185, 0.098), (0.26, 0.086), (0.40, 0.064), (0.50, 0.088), (0.56, 0.092)]
)
_OUTFITS: tuple[tuple[str, ...], ...] = (
    ("dress",),
    ("shirt", "pants"),
    ("jersey shirt", "pants"),
    ("shirt", "skirt"),
    ("jersey shirt", "skirt"),
    ("dress", "coat"),
    ("jersey shirt", "pants", "coat"),
)


@dataclass(frozen=True, eq=False)
class Figure:
    """Drawn person.

    Attributes:
        image: Picture (H, W, 3) uint8 RGB.
        masks: Visible pixels (H, W) bool by garment label; masks never overlap.
        body: Visible pixels of "hair" and "skin", like ``masks``.
    """

    image: npt.NDArray[np.uint8]
    masks: Mapping[str, Bools]
    body: Mapping[str, Bools]


@dataclass(frozen=True)
class _Pose:
    """Positions of the limbs; arms and legs run from the trunk outwards, the left one first."""

    arms: tuple[Outline, Outline]
    legs: tuple[Outline, Outline]


@dataclass
class _Canvas:
    """Picture being painted, and the owner of each pixel."""

    pixels: Floats
    origin: tuple[float, float]
    scale: float
    owners: dict[str, Bools] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def lay(self, owner: str, shape: Shape, colours: Floats) -> None:
        """Paint ``shape`` over everything before it; ``colours`` is one color or a picture."""
        cover = np.zeros(self.pixels.shape[:2], np.uint8)
        for outline in shape:
            corners = np.round((outline * self.scale + self.origin) * 16).astype(np.int32)
            part = np.zeros_like(cover)
            cv2.fillPoly(part, [corners], 255, cv2.LINE_AA, 4)
            np.maximum(cover, part, out=cover)
        mask = cover > 127
        for other in self.owners.values():
            other &= ~mask
        self.owners[owner] = self.owners.get(owner, np.zeros_like(mask)) | mask
        alpha = cover[..., None].astype(np.float32) / 255
        self.pixels += alpha * (colours - self.pixels)


def draw_figure(seed: int, height: int = 825, width: int = 550) -> Figure:
    """Draw one person in random clothes in front of a random background.

    Args:
        seed: Random seed that decides everything except the size.
        height: Picture height in pixels.
        width: Picture width in pixels.

    Returns:
        Picture and mask of every garment in it. A garment always has pixels unless the picture is
        only a few pixels large.
    """
    rng = np.random.default_rng(seed)
    canvas = _place(rng, height, width)
    pose = _random_pose(rng)
    _draw_body(rng, canvas, pose)
    for garment in _OUTFITS[rng.integers(len(_OUTFITS))]:
        _draw_garment(rng, canvas, pose, garment)
    _draw_footwear(rng, canvas, pose)
    _draw_extras(rng, canvas, pose)
    return _finish(rng, canvas)


def _place(rng: np.random.Generator, height: int, width: int) -> _Canvas:
    scale = min(height * rng.uniform(0.82, 0.93), width * rng.uniform(1.45, 1.9))
    top = (height - scale) * rng.uniform(0.4, 0.75)
    axis = width / 2 + rng.uniform(-0.5, 0.5) * max(0.0, width - 0.55 * scale) * 0.5
    return _Canvas(draw_background(rng, height, width), (axis, top), scale)


def _random_pose(rng: np.random.Generator) -> _Pose:
    def arm(side: int) -> Outline:
        elbow, wrist = rng.uniform(0.11, 0.16), rng.uniform(0.10, 0.20)
        return np.array([(side * 0.09, 0.2), (side * elbow, 0.36), (side * wrist, 0.5)])

    def leg(side: int) -> Outline:
        knee, ankle = rng.uniform(0.035, 0.06), rng.uniform(0.03, 0.085)
        return np.array([(side * 0.045, 0.52), (side * knee, 0.74), (side * ankle, 0.955)])

    return _Pose((arm(-1), arm(1)), (leg(-1), leg(1)))


def _draw_body(rng: np.random.Generator, canvas: _Canvas, pose: _Pose) -> None:
    size = canvas.size
    skin = draw_fabric(rng, size, np.array(_SKINS[rng.integers(len(_SKINS))]), pattern="plain")
    hair = draw_fabric(rng, size, np.array(_HAIRS[rng.integers(len(_HAIRS))]), pattern="knit")
    length = rng.uniform(0.09, 0.26)
    canvas.lay(
        "hair", [_rounded([(-0.05, 0.04), (0.05, 0.04), (0.065, length), (-0.065, length)])], hair
    )
    limbs = [part for leg in pose.legs for part in _limb(leg, (0.043, 0.03, 0.019))]
    limbs += [part for arm in pose.arms for part in _limb(arm, (0.027, 0.022, 0.017))]
    hands = [_ellipse(arm[-1] + (0, 0.012), 0.018, 0.028) for arm in pose.arms]
    neck = np.array([(-0.026, 0.09), (0.026, 0.09), (0.03, 0.18), (-0.03, 0.18)])
    canvas.lay("skin", [*limbs, *hands, neck, _trunk(0.165, 0.56, 0.0, 0.0)], skin)
    canvas.lay("skin", [_ellipse((0, 0.068), 0.043, 0.06)], skin * 1.04)
    parting = rng.uniform(-0.02, 0.02)
    cap = [
        (-0.048, 0.075),
        (-0.045, 0.01),
        (0, -0.004),
        (0.045, 0.01),
        (0.048, 0.075),
        (parting, 0.03),
    ]
    canvas.lay("hair", [_rounded(cap)], hair)
    for side in (-1, 1):
        canvas.lay(
            "skin", [_ellipse((side * 0.017, 0.066), 0.006, 0.004)], np.array((50, 36, 32.0))
        )
    canvas.lay("skin", [_ellipse((0, 0.1), 0.013, 0.005)], np.array((168, 70, 70.0)))


def _draw_garment(rng: np.random.Generator, canvas: _Canvas, pose: _Pose, name: str) -> None:
    size = canvas.size
    pattern: Pattern | None = "plain" if name in ("coat", "jersey shirt") else None
    fabric = draw_fabric(rng, size, random_colour(rng), pattern=pattern)
    shape = {
        "dress": _dress,
        "shirt": _shirt,
        "jersey shirt": _jersey,
        "skirt": _skirt,
        "pants": _pants,
        "coat": _coat,
    }[name](rng, pose)
    canvas.lay(name, shape, fabric)
    if name == "shirt":
        _draw_buttons(canvas, fabric)
    if name == "coat":
        lapels = [
            np.array([(s * 0.045, 0.165), (s * 0.075, 0.2), (s * 0.03, 0.33)]) for s in (-1, 1)
        ]
        canvas.lay(name, lapels, fabric * rng.uniform(0.7, 0.85))


def _draw_buttons(canvas: _Canvas, fabric: Floats) -> None:
    placket = np.array([(-0.006, 0.19), (0.006, 0.19), (0.006, 0.48), (-0.006, 0.48)])
    canvas.lay("shirt", [placket], fabric * 0.9)
    collar = [
        np.array([(0, 0.2), (s * 0.034, 0.16), (s * 0.045, 0.19), (s * 0.02, 0.215)])
        for s in (-1, 1)
    ]
    canvas.lay("shirt", collar, fabric * 0.85)
    dots = [_ellipse((0, y), 0.004, 0.004) for y in np.arange(0.22, 0.48, 0.045)]
    canvas.lay("shirt", dots, np.array((235, 232, 225.0)))


def _draw_footwear(rng: np.random.Generator, canvas: _Canvas, pose: _Pose) -> None:
    fabric = draw_fabric(rng, canvas.size, random_colour(rng), pattern="plain")
    shaft = rng.choice((0.0, 0.0, 0.06, 0.14))
    for leg in pose.legs:
        ankle = leg[-1]
        toe = ankle + np.array((np.sign(ankle[0]) * 0.022, 0.03))
        sole = [
            *(ankle + np.array([(-0.022, -0.005), (0.022, -0.005)])),
            *(toe + np.array([(0.022, 0.014), (-0.03, 0.014)])),
        ]
        boot = _limb(np.array([_along(leg, 1 - shaft), ankle]), (0.03, 0.024)) if shaft else []
        canvas.lay("footwear", [_rounded(sole), *boot], fabric)


def _draw_extras(rng: np.random.Generator, canvas: _Canvas, pose: _Pose) -> None:
    size = canvas.size
    if rng.random() < 0.3:
        fabric = draw_fabric(rng, size, random_colour(rng), pattern="plain")
        brim, crown = rng.uniform(0.055, 0.1), rng.uniform(0.03, 0.05)
        top = [
            (-0.045, 0.03),
            (-0.04, 0.03 - crown - 0.02),
            (0.04, 0.03 - crown - 0.02),
            (0.045, 0.03),
        ]
        canvas.lay("hat", [_rounded(top), _ellipse((0, 0.03), brim, 0.012)], fabric)
    if rng.random() < 0.5:
        fabric = draw_fabric(rng, size, random_colour(rng))
        hand, wide, tall = (
            pose.arms[rng.integers(2)][-1],
            rng.uniform(0.045, 0.08),
            rng.uniform(0.06, 0.11),
        )
        corners = [(-wide, 0), (wide, 0), (wide * 1.1, tall), (-wide * 1.1, tall)]
        handle = [
            *_limb(np.array([(-wide / 2, 0.05), (0, 0.0), (wide / 2, 0.05)]) + hand, (0.004,) * 3)
        ]
        canvas.lay("bag-belt", [_rounded(np.array(corners) + hand + (0, 0.04)), *handle], fabric)


def _finish(rng: np.random.Generator, canvas: _Canvas) -> Figure:
    noisy = canvas.pixels + rng.normal(0, rng.uniform(1, 6), canvas.pixels.shape[:2])[..., None]
    sharp = np.asarray(np.clip(noisy, 0, 255), np.uint8)
    image = np.asarray(cv2.GaussianBlur(sharp, (3, 3), rng.uniform(0.3, 0.8)), np.uint8)
    garments = {k: v for k, v in canvas.owners.items() if k not in ("hair", "skin")}
    body = {k: v for k, v in canvas.owners.items() if k in ("hair", "skin")}
    return Figure(image, MappingProxyType(garments), MappingProxyType(body))


def _dress(rng: np.random.Generator, pose: _Pose) -> Shape:
    hem, flare = rng.uniform(0.66, 0.93), rng.uniform(0.1, 0.2)
    loose = rng.uniform(0.004, 0.014)
    return [
        _trunk(0.185, 0.42, loose, rng.uniform(0.02, 0.07)),
        _flared(0.40, hem, 0.066 + loose, flare, rng.uniform(-0.01, 0.02)),
        *_sleeves(pose, rng.choice((0.0, 0.25, 0.9)), 0.034),
    ]


def _shirt(rng: np.random.Generator, pose: _Pose) -> Shape:
    loose = rng.uniform(0.01, 0.02)
    body = _trunk(0.18, rng.uniform(0.47, 0.53), loose, 0.03)
    return [body, *_sleeves(pose, rng.uniform(0.85, 0.97), 0.034 + loose / 3)]


def _jersey(rng: np.random.Generator, pose: _Pose) -> Shape:
    loose = rng.uniform(0.006, 0.02)
    body = _trunk(0.185, rng.uniform(0.46, 0.53), loose, rng.uniform(0.015, 0.03))
    return [body, *_sleeves(pose, rng.uniform(0.25, 0.42), 0.036 + loose / 3)]


def _skirt(rng: np.random.Generator, pose: _Pose) -> Shape:
    del pose
    return [_flared(0.41, rng.uniform(0.62, 0.9), 0.075, rng.uniform(0.1, 0.2), 0.01)]


def _pants(rng: np.random.Generator, pose: _Pose) -> Shape:
    end, wide = rng.choice((0.5, 0.97, 0.97, 0.97)), rng.uniform(0.0, 0.016)
    hips = np.array(
        [
            (-0.074, 0.42),
            (0.074, 0.42),
            (0.094, 0.52),
            (0.05, 0.58),
            (0, 0.56),
            (-0.05, 0.58),
            (-0.094, 0.52),
        ]
    )
    legs = [_cut(leg, end) for leg in pose.legs]
    radii = (0.049, 0.038 + wide, 0.028 + wide)
    return [
        hips,
        *(
            part
            for leg in legs
            for part in _limb(leg, radii[-len(leg) :] if len(leg) == 3 else (0.049, 0.045))
        ),
    ]


def _coat(rng: np.random.Generator, pose: _Pose) -> Shape:
    hem, gap, flare = rng.uniform(0.6, 0.85), rng.uniform(0.015, 0.035), rng.uniform(0.11, 0.16)
    panels = []
    for side in (-1, 1):
        edge = [(0.02, 0.165), (0.105, 0.185), (0.1, 0.27), (0.088, 0.4), (0.105, 0.5)]
        hemline = [(flare, hem - 0.01), (gap * 1.6, hem), (gap, 0.36)]
        panels.append(np.array([(side * x, y) for x, y in edge + hemline]))
    return [*panels, *_sleeves(pose, 0.95, 0.042)]


def _trunk(top: float, bottom: float, loose: float, neckline: float) -> Outline:
    """Return the trunk from ``top`` to ``bottom``, ``loose`` wider than the body."""
    ys = np.unique(np.concatenate([[top, bottom], _BODY[:, 0]]))
    ys = ys[(ys >= max(top, 0.185)) & (ys <= bottom)]
    right = np.column_stack([np.interp(ys, _BODY[:, 0], _BODY[:, 1]) + loose, ys])
    left = right[::-1] * (-1, 1)
    collar = np.array([(-0.038, top - 0.012), (0, top + neckline), (0.038, top - 0.012)])
    return np.concatenate([right, left, collar])


def _flared(top: float, hem: float, waist: float, flare: float, sag: float) -> Outline:
    hip = waist + (flare - waist) * 0.45
    right = [(waist, top), (hip, 0.5), (flare, hem)]
    left = [(-x, y) for x, y in reversed(right)]
    return np.array([*right, (0, hem + sag), *left])


def _sleeves(pose: _Pose, share: float, radius: float) -> list[Outline]:
    if not share:
        return []
    taper = (radius, radius * 0.92, radius * 0.8)
    arms = [_cut(arm, share) for arm in pose.arms]
    return [part for arm in arms for part in _limb(arm, taper[: len(arm)])]


def _along(path: Outline, share: float) -> Outline:
    """Return the point after ``share`` of a three-point path (each leg counts one half)."""
    return np.array([np.interp(share, (0, 0.5, 1), path[:, axis]) for axis in (0, 1)])


def _cut(path: Outline, share: float) -> Outline:
    joints = path[:1] if share <= 0.5 else path[:2]
    return np.concatenate([joints, _along(path, share)[None]])


def _limb(path: Outline, radii: Sequence[float]) -> list[Outline]:
    """Return a tapering tube along ``path`` with one radius for each point."""
    tube = [_ellipse(point, radius, radius) for point, radius in zip(path, radii, strict=True)][:-1]
    for (start, end), (thick, thin) in zip(pairwise(path), pairwise(radii), strict=True):
        along = (end - start) / np.hypot(*(end - start))
        normal = np.array((-along[1], along[0]))
        tube.append(
            np.array(
                [
                    start + normal * thick,
                    end + normal * thin,
                    end - normal * thin,
                    start - normal * thick,
                ]
            )
        )
    return tube


def _ellipse(centre: Sequence[float] | Outline, across: float, down: float) -> Outline:
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.column_stack([np.cos(turn) * across, np.sin(turn) * down])
    return np.add(ring, np.asarray(centre, np.float64))


def _rounded(corners: Sequence[tuple[float, float]] | Outline) -> Outline:
    """Smooth corners by two rounds of Chaikin's corner cutting."""
    outline = np.array(corners, dtype=np.float64)
    for _ in range(2):
        following = np.roll(outline, -1, axis=0)
        cuts = (0.75 * outline + 0.25 * following, 0.25 * outline + 0.75 * following)
        outline = np.asarray(np.stack(cuts, 1).reshape(-1, 2), np.float64)
    return outline
