"""Boxes and clicks, in fractions of an image or in pixels; ``scaled`` converts between them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """A click: ``positive`` includes the place, Alt+click excludes it."""

    x: float
    y: float
    positive: bool = True

    def scaled(self, across: float, down: float) -> "Point":
        """Multiply ``x`` by ``across`` and ``y`` by ``down``."""
        return Point(self.x * across, self.y * down, self.positive)


@dataclass(frozen=True)
class Box:
    """An upright rectangle; ``left < right`` and ``top < bottom``."""

    left: float
    top: float
    right: float
    bottom: float

    def scaled(self, across: float, down: float) -> "Box":
        """Multiply horizontal coordinates by ``across`` and vertical ones by ``down``."""
        return Box(self.left * across, self.top * down, self.right * across, self.bottom * down)

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.bottom - self.top)

    def overlap(self, other: "Box") -> float:
        """Return the intersection over union, 0..1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        shared = max(width, 0.0) * max(height, 0.0)
        return shared / (self.area + other.area - shared)

    def contains(self, point: Point) -> bool:
        """Return whether the point lies in the rectangle or on its edge."""
        return self.distance(point) <= 0

    def distance(self, point: Point) -> float:
        """Return the larger of the horizontal and vertical gaps; 0 or negative inside."""
        across = max(self.left - point.x, point.x - self.right)
        down = max(self.top - point.y, point.y - self.bottom)
        return max(across, down)
