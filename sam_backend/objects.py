"""The labeler's prompts as objects to find, in pixels."""

from ml_backend.labelstudio.prompts import BoxPrompt, Context, PointPrompt
from sam_backend.models.base import Box, Point, Prompts


def prompted_objects(context: Context, height: int, width: int) -> list[Prompts]:
    """What the prompts ask for: an object for each box, or one for all points without a box.

    With boxes, a positive point belongs to those around it, else to the nearest; a negative point
    takes away from everything.

    Args:
        context: At least one box or one positive point.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
    """

    def pixels(points: list[PointPrompt]) -> tuple[Point, ...]:
        return tuple(Point(_within(p.x, width), _within(p.y, height), p.positive) for p in points)

    if not context.boxes:
        return [Prompts(points=pixels(list(context.points)))]
    owners = [_owners(point, context.boxes) for point in context.points]
    return [
        Prompts(
            Box(box.left * width, box.top * height, box.right * width, box.bottom * height),
            pixels([p for p, boxes in zip(context.points, owners, strict=True) if box in boxes]),
        )
        for box in context.boxes
    ]


def _owners(point: PointPrompt, boxes: tuple[BoxPrompt, ...]) -> tuple[BoxPrompt, ...]:
    if not point.positive:
        return boxes
    around = tuple(box for box in boxes if box.contains(point))
    return around or (min(boxes, key=lambda box: _distance(point, box)),)


def _distance(point: PointPrompt, box: BoxPrompt) -> float:
    """The larger of the gaps across and down, in fractions of the image."""
    across = max(box.left - point.x, point.x - box.right)
    down = max(box.top - point.y, point.y - box.bottom)
    return max(across, down)


def _within(fraction: float, size: int) -> float:
    """A click on the far edge is one on the last pixel."""
    return min(fraction * size, size - 0.5)
