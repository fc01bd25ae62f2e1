"""What is wrong with a label config before labelers find out: each finding with its fix."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from xml.etree.ElementTree import Element

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.label_config import (
    MASK_CONTROLS,
    Control,
    LabelConfig,
    parse_label_config,
)
from ml_backend.labelstudio.label_matching import match_labels
from segstudio.labelstudio.ml_backends import Classes

Level = Literal["error", "warning", "note"]

_PROMPTS = ("keypointlabels", "rectanglelabels")
_SMART_TOOLS = frozenset(
    {"brush", "bitmask", "keypoint", "rectangle", "magicwand"}
    | {"brushlabels", "bitmasklabels", *_PROMPTS}
)
"""Tags that Label Studio 1.23.2 has a smart tool for (read in its page's code)."""

_DRAWING = _SMART_TOOLS | {
    *("polygon", "polygonlabels", "ellipse", "ellipselabels", "vector", "vectorlabels")
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Attributes:
        level: ``error``: a backend refuses the label config; ``warning``: something is ignored or
            lost; ``note``: it works, and may not be what was meant.
        where: The tag.
        problem: For people.
        fix: What to write instead.
    """

    level: Level
    where: str
    problem: str
    fix: str


@dataclass(frozen=True)
class _Checked:
    """A label config, as written and as the backends read it."""

    root: Element
    config: LabelConfig
    classes: Classes

    @cached_property
    def controls(self) -> list[Element]:
        return [tag for tag in self.root.iter() if tag.get("toName")]

    @cached_property
    def mask(self) -> Control | None:
        try:
            return self.config.mask_control()
        except LabelConfigError:
            return None

    @cached_property
    def mask_labels(self) -> set[str]:
        """Of all controls like the one that takes the masks, in lower case."""
        return {
            label.value.casefold()
            for control in self.config.controls
            if self.mask and (control.type, control.to_name) == (self.mask.type, self.mask.to_name)
            for label in control.labels
        }

    @cached_property
    def tools(self) -> list[Control]:
        """What the labeler shows objects with."""
        return [c for c in self.config.controls if c.type in _PROMPTS and c.smart]


def lint(label_config: str, classes: Classes) -> list[Finding]:
    """Check a label config against both backends.

    Args:
        label_config: XML.
        classes: What the garment model tells apart; without names, that is not checked.
    """
    try:
        root = defusedxml.ElementTree.fromstring(label_config, forbid_dtd=True)
    except (defusedxml.ElementTree.ParseError, DefusedXmlException) as error:
        return [Finding("error", "XML", f"it is not valid: {error}", "mend it at that place")]
    if wrong := list(_wrong_targets(root)):
        return wrong
    try:
        config = parse_label_config(label_config)
    except LabelConfigError as error:
        return [Finding("error", root.tag, error.message, error.hint or "see frontend_templates/")]
    checked = _Checked(root, config, classes)
    return [finding for rule in _RULES for finding in rule(checked)]


def label_table(label_config: str, classes: Classes) -> list[tuple[str, str, str]]:
    """For each label of the mask control: the classes that become it, and the smart tools it has.

    Raises:
        LabelConfigError: There is no such control.
    """
    config = parse_label_config(label_config)
    mask = config.mask_control()
    assigned = match_labels(classes.names, mask.labels)
    tools = [c for c in config.controls if c.type in _PROMPTS and c.smart]
    return [
        (
            label.value,
            ", ".join(classes.names[i] for i, value in assigned.items() if value == label.value),
            ", ".join(tool.name for tool in tools if _carries(tool, label.value)),
        )
        for label in mask.labels
    ]


def _wrong_targets(root: Element) -> Iterator[Finding]:
    names = {tag.get("name"): tag.tag for tag in root.iter() if tag.get("name")}
    images = [tag.get("name") for tag in root.iter("Image") if tag.get("name")]
    right = f'toName="{images[0]}"' if images else 'add <Image name="image" value="$image"/>'
    for tag in root.iter():
        for name in (tag.get("toName") or "").split(",") if tag.get("toName") else ():
            if name not in names:
                yield Finding("error", _name(tag), f'toName="{name}" names no tag', right)
            elif tag.tag.lower() in _DRAWING and names[name] != "Image":
                problem = f'toName="{name}" is a {names[name]}; it draws on an Image'
                yield Finding("error", _name(tag), problem, right)


def _masks(checked: _Checked) -> Iterator[Finding]:
    mask = checked.mask
    image = next(iter(checked.config.image_keys))
    brush = f'<BrushLabels name="mask" toName="{image}" smart="false"> with <Label> tags'
    if mask is None:
        yield Finding(
            "error",
            "View",
            "no control takes masks",
            f"add {brush}; a project of codes alone is made with --no-backends",
        )
    elif mask.type == MASK_CONTROLS[1]:
        problem = "without BrushLabels, masks become polygons: their holes are lost"
        yield Finding("note", mask.name, problem, f"for masks, add {brush}")
    elif mask.type == MASK_CONTROLS[2]:
        problem = "without BrushLabels, masks become boxes: their shape is lost"
        yield Finding("warning", mask.name, problem, f"add {brush}")


def _ignored_smart(checked: _Checked) -> Iterator[Finding]:
    for tag in checked.controls:
        kind, own = tag.tag.lower(), _smart(tag)
        labels = tag.findall(".//Label")
        if own and kind not in _SMART_TOOLS:
            problem = f"Label Studio has no smart tool for {tag.tag}: smart is ignored"
            yield Finding("warning", _name(tag), problem, f"use {_PROMPT_TAGS} for the smart tools")
        elif own is False and any(_smart(label) for label in labels):
            problem = 'smart="true" on a Label means nothing while its control has smart="false"'
            yield Finding("warning", _name(tag), problem, f'write <{tag.tag} smart="true" …>')
        elif own and kind in {"keypoint", "rectangle"}:
            problem = "it has no labels, so a suggestion of it has none"
            yield Finding("warning", _name(tag), problem, f"use {tag.tag}Labels with <Label> tags")
        elif kind in {"brushlabels", "brush"} and own is not False:
            problem = "its smart brush sends strokes, which no backend answers"
            yield Finding("warning", _name(tag), problem, f'write <{tag.tag} smart="false" …>')


def _tools(checked: _Checked) -> Iterator[Finding]:
    if checked.mask is None:
        return
    mask, target = checked.mask.name, checked.mask.to_name
    if not any(_carries(tool, value) for tool in checked.tools for value in checked.mask_labels):
        yield Finding(
            "error",
            mask,
            f"no smart {_PROMPT_TAGS} on the same image shares a label with it",
            f'add <RectangleLabels name="box" toName="{target}" smart="true"> with the same labels',
        )
        return
    for tool in checked.tools:
        lost = [v.value for v in tool.labels if v.value.casefold() not in checked.mask_labels]
        if lost:
            problem = f"{mask} has no label {', '.join(lost)}: suggestions of it are refused"
            yield Finding("warning", tool.name, problem, f"add the same <Label> tags to {mask}")


def _classes(checked: _Checked) -> Iterator[Finding]:
    names = checked.classes.names
    if checked.mask is None or not names:
        return
    reached = match_labels(names, checked.mask.labels)
    lost = [v.value for v in checked.mask.labels if v.value not in reached.values()]
    if not lost:
        return
    free = [names[i] for i in range(1, len(names)) if i not in reached] or names[1:]
    example = f'<Label value="{lost[0]}" predicted_values="{free[0]}"/>'
    yield Finding(
        "warning" if reached else "error",
        checked.mask.name,
        f"no class of {checked.classes.source} becomes {', '.join(lost)}; "
        f"{'free are' if reached else 'it knows'} {', '.join(free)}",
        f"if one of them means the same, write {example}; else labelers draw it"
        if reached
        else f"write e.g. {example}",
    )


_PROMPT_TAGS = "KeyPointLabels or RectangleLabels"
_RULES: tuple[Callable[[_Checked], Iterator[Finding]], ...] = (
    *(_masks, _ignored_smart, _tools, _classes),
)


def _carries(control: Control, value: str) -> bool:
    return any(label.value.casefold() == value.casefold() for label in control.labels)


def _smart(tag: Element) -> bool | None:
    """What the tag says, if anything; attribute names count whatever their case."""
    values = {name.lower(): value.lower() for name, value in tag.attrib.items()}
    if values.get("smartonly") == "true":
        return True
    return {"true": True, "false": False}.get(values.get("smart", ""))


def _name(tag: Element) -> str:
    return tag.get("name") or tag.tag
