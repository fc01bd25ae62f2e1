"""Where a mask goes: the control and the label that the label config has for a prompt's."""

from dataclasses import dataclass

from ml_backend.errors import PromptError
from ml_backend.labelstudio.label_config import Control, LabelConfig
from ml_backend.labelstudio.prompts import Context


@dataclass(frozen=True)
class Target:
    """What a region is made for: a control that takes masks, and one of its labels."""

    control: Control
    label: str


def find_target(context: Context, label_config: LabelConfig) -> Target:
    """Find the control and label for the mask that the labeler asks for.

    Labels are equal whatever their case. Prompts without a label get the only one there is.

    Raises:
        PromptError: There is none; a region with any other would lose its label.
    """
    controls = label_config.mask_controls(context.to_name or None)
    if not controls:
        raise PromptError(
            f"no control takes a mask on {context.to_name!r:.80}",
            "draw on an image that BrushLabels point at",
        )
    targets = [Target(control, label.value) for control in controls for label in control.labels]
    if context.label is None and len(targets) == 1:
        return targets[0]
    if context.label is None:
        raise PromptError("the prompt has no label", "choose a label, then the smart tool")
    return _by_label(targets, context.label)


def _by_label(targets: list[Target], label: str) -> Target:
    same = [target for target in targets if target.label.casefold() == label.casefold()]
    if not same:
        name = targets[0].control.name
        raise PromptError(
            f"{name!r} has no label {label!r:.80}",
            f"add that <Label> to {name!r}, or choose one that it has",
        )
    return next((target for target in same if target.label == label), same[0])
