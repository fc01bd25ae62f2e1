"""Where a mask goes: the control and the label that the label config has for a prompt's."""

from dataclasses import dataclass

from ml_backend.errors import LabelConfigError, PromptError
from ml_backend.labelstudio.label_config import Control, LabelConfig
from ml_backend.labelstudio.prompts import Context

PROMPT_CONTROLS = ("keypointlabels", "rectanglelabels")


@dataclass(frozen=True)
class Target:
    """What a region is made for: a control that takes masks, and one of its labels."""

    control: Control
    label: str


def check_tools(label_config: LabelConfig) -> None:
    """Ask for a control that takes masks, and a smart tool with its labels on the same image.

    Raises:
        LabelConfigError: One of them is missing.
    """
    mask_control = label_config.mask_control()
    tools = [c for c in label_config.controls if c.type in PROMPT_CONTROLS and c.smart]
    if not any(_serves(tool, label_config) for tool in tools):
        raise LabelConfigError(
            f"no smart KeyPointLabels or RectangleLabels shares a label with {mask_control.name!r}",
            f'add e.g. <RectangleLabels name="box" toName="{mask_control.to_name}" smart="true">'
            " with the same <Label> tags",
        )


def prompted_images(label_config: LabelConfig) -> list[str]:
    """Names of the image tags that a smart tool with a mask control is on, in their order."""
    tools = [c for c in label_config.controls if c.type in PROMPT_CONTROLS and c.smart]
    serving = {tool.to_name for tool in tools if _serves(tool, label_config)}
    return [name for name in label_config.image_keys if name in serving]


def find_target(context: Context, label_config: LabelConfig) -> Target:
    """The control and label for the mask that the labeler asks for.

    Labels are equal whatever their case. Prompts without a label get the only one there is.

    Raises:
        PromptError: There is none; a region with any other would lose its label.
    """
    controls = _mask_controls(label_config, context.to_name)
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


def _mask_controls(label_config: LabelConfig, to_name: str) -> tuple[Control, ...]:
    """The controls that take an image's masks, if any; of the first image, if unnamed."""
    try:
        return label_config.mask_controls(to_name or None)
    except LabelConfigError:
        return ()


def _serves(tool: Control, label_config: LabelConfig) -> bool:
    """Whether a mask can carry one of the tool's labels."""
    controls = _mask_controls(label_config, tool.to_name)
    values = {label.value.casefold() for control in controls for label in control.labels}
    return any(label.value.casefold() in values for label in tool.labels)
