"""Interpret prompts: objects in pixels, and the control and label of their masks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ml_backend.errors import PromptError
from ml_backend.geometry import Box, Point
from ml_backend.labelstudio.label_config import Control, LabelConfig
from ml_backend.labelstudio.prompts import Context
from sam_backend.models.base import Prompts


@dataclass(frozen=True)
class Target:
    """Target of a region: a control that takes masks, and one of its labels, if any."""

    control: Control
    label: str | None


def find_target(context: Context, label_config: LabelConfig) -> Target:
    """Return the control and label for the mask that the labeler asks for.

    Labels are compared ignoring case. Prompts without a label get the only one there is. A tool
    without its own list may prompt without a label: the region gets the one chosen when it is
    accepted.

    Raises:
        PromptError: There is none; with any other, the region would lose its label.
    """
    controls = label_config.suggestion_controls(context.to_name or None)
    if not controls:
        raise PromptError(
            f"no control takes a mask on {context.to_name!r:.80}",
            "draw on an image that BrushLabels point at",
        )
    targets = [Target(control, label.value) for control in controls for label in control.labels]
    if context.label is not None:
        return _by_label(targets, context.label) if targets else Target(controls[0], None)
    if len(targets) == 1:
        return targets[0]
    if targets and not label_config.is_unlabeled(context.tool):
        raise PromptError("the prompt has no label", "choose a label, then the smart tool")
    return Target(controls[0], None)


def _by_label(targets: list[Target], label: str) -> Target:
    same = [target for target in targets if (target.label or "").casefold() == label.casefold()]
    if not same:
        name = targets[0].control.name
        raise PromptError(
            f"{name!r} has no label {label!r:.80}",
            f"add that <Label> to {name!r}, or choose one that it has",
        )
    return next((target for target in same if target.label == label), same[0])


def prompts_from_context(context: Context, height: int, width: int) -> list[Prompts]:
    """Return the objects that prompts show: one for each box, or one for all points without a box.

    With boxes, a positive point belongs to those around it, else to the nearest; a negative
    point removes from all of them.

    Args:
        context: Prompts with at least one box or positive point.
        height: Image height in pixels.
        width: Image width in pixels.
    """

    def pixels(point: Point) -> Point:
        placed = point.scaled(width, height)
        # A click on the far edge belongs to the last pixel.
        return replace(placed, x=min(placed.x, width - 0.5), y=min(placed.y, height - 0.5))

    if not context.boxes:
        return [Prompts(points=tuple(map(pixels, context.points)))]
    owners = [_owners(point, context.boxes) for point in context.points]
    return [
        Prompts(
            box.scaled(width, height),
            tuple(
                pixels(point)
                for point, boxes in zip(context.points, owners, strict=True)
                if box in boxes
            ),
        )
        for box in context.boxes
    ]


def things(objects: Sequence[Prompts]) -> list[list[Prompts]]:
    """Group objects: overlapping boxes show one thing, separate boxes several."""
    groups: list[list[Prompts]] = []
    for each in objects:
        touching = [group for group in groups if any(_overlap(each, other) for other in group)]
        groups = [group for group in groups if group not in touching]
        groups.append([*(other for group in touching for other in group), each])
    return groups


def _overlap(one: Prompts, other: Prompts) -> bool:
    return one.box is not None and other.box is not None and one.box.overlap(other.box) > 0


def _owners(point: Point, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
    if not point.positive:
        return boxes
    around = tuple(box for box in boxes if box.contains(point))
    return around or (min(boxes, key=lambda box: box.distance(point)),)
