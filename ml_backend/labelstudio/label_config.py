"""Label config of a project: images, controls with their labels, and whether it can be served.

The only reader of label configs: for the backends at ``/setup`` and on each call, and for the
lint, the templates and the exports of ``segstudio``.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from ml_backend.errors import LabelConfigError
from ml_backend.labelstudio.controls import (
    MASK_RANKS,
    PROMPT_SHAPES,
    TYPED_PROMPT,
    Control,
    ImageTag,
    Label,
    Problem,
)
from ml_backend.labelstudio.label_config_xml import LONGEST, parse_xml, read_tags
from ml_backend.labelstudio.task_paths import look_up
from ml_backend.labelstudio.thresholds import threshold_problems

__all__ = [
    "LONGEST",
    "Control",
    "ImageTag",
    "Label",
    "LabelConfig",
    "Problem",
    "brush_example",
    "image_problem",
    "parse_label_config",
    "parse_xml",
    "refuse",
]

_DRAWING_CONTROLS = frozenset(
    {"magicwand", *MASK_RANKS, *(f"{shape}labels" for shape in MASK_RANKS)}
)

_PATH = re.compile(r"[\w.\[\]{}]+")


@dataclass(frozen=True)
class LabelConfig:
    """A parsed label config.

    Attributes:
        controls: Controls in document order.
        images: Image tags by name, in document order.
        tags: Tag as written (``BrushLabels``) by name, of every named tag.
        lines: Line by name, of every named tag.
        xml: Text of the label config.
    """

    controls: tuple[Control, ...]
    images: Mapping[str, ImageTag]
    tags: Mapping[str, str]
    lines: Mapping[str, int]
    xml: str = field(repr=False)

    def mask_controls(self, image: str | None = None) -> tuple[Control, ...]:
        """Return the controls that receive an image's masks: the most faithful that have labels.

        A tag without a list of its own (``Brush``) has the labels of each ``Labels`` list on its
        image; without such a list, it takes masks only where no other control has labels.

        Args:
            image: Name of an image tag; default: the first one that has such controls.
        """
        if image is None:
            return next(iter(self._masks.values()), ())
        return self._masks.get(image, ())

    def suggestion_controls(self, image: str | None = None) -> tuple[Control, ...]:
        """Return ``mask_controls`` without keypoints: a click is not answered with a click."""
        return tuple(c for c in self.mask_controls(image) if c.shape != "keypoint")

    def mask_images(self) -> list[str]:
        """Return the names of the images that masks can be drawn on, in document order."""
        return [name for name in self.images if name in self._masks]

    def mask_labels(self, image: str | None = None) -> tuple[Label, ...]:
        """Return the labels of ``mask_controls``."""
        return tuple(label for control in self.mask_controls(image) for label in control.labels)

    def smart_tools(self) -> tuple[Control, ...]:
        """Return the controls for prompts."""
        return tuple(c for c in self._drawing if c.shape in PROMPT_SHAPES and c.smart)

    def typed_prompts(self) -> tuple[Control, ...]:
        """Return the texts in which labelers type what to find."""
        return tuple(
            c
            for c in self.controls
            if (c.type, c.name) == ("textarea", TYPED_PROMPT)
            and c.smart
            and c.to_name in self.images
            and c.attributes.get("perregion", "").lower() != "true"  # sent to no backend
        )

    def labels_of(self, control: Control) -> tuple[Label, ...]:
        """Return the labels that a control's regions may have, from itself or from a list."""
        return tuple(label for each in self._with_labels(control) for label in each.labels)

    @property
    def has_dynamic_labels(self) -> bool:
        """Return whether tasks provide labels for their regions."""
        return any(c.dynamic for c in self.controls if c.type != "choices")

    def for_task(self, data: Mapping[str, Any]) -> "LabelConfig":
        """Return the label config with the labels that a task provides."""
        if not self.has_dynamic_labels:
            return self
        controls = (
            replace(c, labels=(*c.labels, *_task_labels(look_up(data, c.dynamic))))
            if c.dynamic
            else c
            for c in self.controls
        )
        return replace(self, controls=tuple(controls))

    def is_unlabeled(self, tool: str) -> bool:
        """Return whether a tool of that name draws unlabeled regions without a separate list."""
        return any(c.name == tool and not c.has_own_list for c in self.controls)

    def is_exemplar(self, tool: str) -> bool:
        """Return whether a tool's boxes mean all that resembles their content."""
        return any(
            c.name == tool and c.attributes.get("exemplar", "").lower() == "true"
            for c in self.controls
        )

    def lost_labels(self, tool: Control) -> list[str]:
        """Return the labels of a smart tool that no mask on its image can carry, ignoring case."""
        carried = self._carried.get(tool.to_name, frozenset())
        return [each.value for each in tool.labels if each.value.casefold() not in carried]

    def prompted_images(self) -> list[str]:
        """Return the names of the images on which a smart tool gets a mask, in document order."""
        served = {tool.to_name for tool in self.smart_tools() if self._answers(tool)}
        return [name for name in self.images if name in served]

    def wrong_targets(self) -> list[Problem]:
        """Return a problem for each ``toName`` that names no tag, or one without an image."""
        image = next(iter(self.images), None)
        fix = f'toName="{image}"' if image else 'add <Image name="image" value="$image"/>'
        problems = []
        for control in self.controls:
            target = self.tags.get(control.to_name)
            if target is None:
                text = f'toName="{control.to_name}" names no tag'
                problems.append(Problem(control.name, text, fix))
            elif control.type in _DRAWING_CONTROLS and target != "Image":
                text = f'toName="{control.to_name}" is a {target}; it draws on an Image'
                problems.append(Problem(control.name, text, fix))
        return problems

    def problems_for_masks(self) -> list[Problem]:
        """Return why masks cannot become regions; empty if they can."""
        if problems := self.wrong_targets():
            return problems
        if not self.mask_controls():
            return [self._no_masks()]
        if problems := threshold_problems(self.controls):
            return problems
        return self.problems_of_images(self._masks)

    def problems_of_images(self, images: Iterable[str]) -> list[Problem]:
        """Return why no task has a reference for some image tags; nothing where they have."""
        return [problem for name in images if (problem := image_problem(self.images[name]))]

    def problems_for_prompts(self, *, reads_text: bool) -> list[Problem]:
        """Return why no prompt can be answered with a mask; empty if one can.

        Args:
            reads_text: Whether the model finds what labelers type.
        """
        problems = self.problems_for_masks()
        if problems or self.prompted_images():
            return problems
        if not any(map(self.suggestion_controls, self.images)):
            return [self._no_masks()]
        mask = self.mask_controls()[0]
        text = "no smart KeyPointLabels or RectangleLabels on the same image shares a label with it"
        box = f'<RectangleLabels name="box" toName="{mask.to_name}" smart="true">'
        fix = f"add e.g. {box} with the same <Label> tags"
        typed = [each for each in self.typed_prompts() if self.suggestion_controls(each.to_name)]
        if not typed:
            return [Problem(mask.name, text, fix)]
        if reads_text:
            return []
        text = "the model of the sam backend finds nothing by text, and there is no smart tool"
        return [Problem(typed[0].name, text, f"set SAM_MODEL=sam3, or {fix} as {mask.name}")]

    def _no_masks(self) -> Problem:
        text = "no BrushLabels, PolygonLabels or RectangleLabels control takes masks"
        if open_ := next((c for c in self._drawing if c.shape == "vector"), None):
            return Problem(
                open_.name, f"{text}; vectors do when they close", 'write closable="true"'
            )
        example = brush_example(next(iter(self.images), "image"))
        return Problem("View", text, f"add e.g. {example}")

    def _answers(self, tool: Control) -> bool:
        """Return whether a prompt of the tool can get a mask; a missing label is no obstacle."""
        if not self.suggestion_controls(tool.to_name):
            return False
        if tool.dynamic or any(c.dynamic for c in self.mask_controls(tool.to_name)):
            return True
        return len(self.lost_labels(tool)) < len(tool.labels) or not tool.labels

    @cached_property
    def _drawing(self) -> tuple[Control, ...]:
        """Return the controls that draw on an image, each with the labels of its regions."""
        drawing = [c for c in self.controls if c.shape and c.to_name in self.images]
        return tuple(labeled for control in drawing for labeled in self._with_labels(control))

    def _with_labels(self, control: Control) -> list[Control]:
        if control.has_own_list:
            return [control] if control.labels or control.dynamic else []
        lists = [c for c in self.controls if (c.type, c.to_name) == ("labels", control.to_name)]
        return [
            replace(control, labels=list_.labels, labels_from=list_.name, dynamic=list_.dynamic)
            for list_ in lists
            if list_.labels or list_.dynamic
        ] or [replace(control, labels=())]

    @cached_property
    def _masks(self) -> Mapping[str, tuple[Control, ...]]:
        """Mask controls by image, the images with the most faithful ones first."""

        def rank(control: Control) -> tuple[bool, int]:
            return not (control.labels or control.dynamic), MASK_RANKS[control.shape]

        closed = [c for c in self._drawing if c.shape != "vector" or _is_closable(c)]
        found: dict[str, list[Control]] = {}
        for control in sorted(closed, key=rank):
            same = found.setdefault(control.to_name, [])
            if not same or rank(same[0]) == rank(control):
                same.append(control)
        finer = any(controls[0].shape != "keypoint" for controls in found.values())
        return {
            image: tuple(controls)
            for image, controls in found.items()
            if controls[0].shape != "keypoint" or not finer
        }

    @cached_property
    def _carried(self) -> Mapping[str, frozenset[str]]:
        """Labels that masks can carry, case-folded, by image."""
        return {
            image: frozenset(label.value.casefold() for label in self.mask_labels(image))
            for image in self._masks
        }


def _is_closable(vector: Control) -> bool:
    return vector.attributes.get("closable", "").lower() == "true"


def image_problem(image: ImageTag) -> Problem | None:
    """Return the problem of an image tag that prevents tasks from having a reference."""
    attribute = "valueList" if image.pages else "value"
    written = f'{attribute}="{image.written:.80}"'
    if "$" not in image.written:
        text = f"{written} names no field of the task: every task would show the same image"
        return Problem(image.name, text, f'write {attribute}="$image"')
    if not image.written.startswith("$"):
        text = f"{written} has a fixed address before the variable, which the backends do not join"
        fix = f"put whole addresses into the tasks and write {attribute}="
        return Problem(image.name, text, f'{fix}"{image.written[image.written.index("$") :]:.80}"')
    if not _PATH.fullmatch(image.key):
        text = f"{written} is not a path that Label Studio follows: letters, digits, _ . [ ] only"
        return Problem(image.name, text, "rename the field of the tasks")
    return None


def _task_labels(listed: Any) -> tuple[Label, ...]:
    """Parse the labels of a task: objects as in Label Studio, or names only."""
    found: dict[str, Label] = {}
    for each in listed if isinstance(listed, list) else ():
        entry = each if isinstance(each, dict) else {"value": each}
        value = entry.get("alias") or entry.get("value")
        if isinstance(value, str) and value:
            predicted = str(entry.get("predicted_values") or "").split(",")
            names = tuple(name.strip() for name in predicted if name.strip())
            found[value] = Label(value, names, str(entry.get("background") or ""))
    return tuple(found.values())


def brush_example(image: str) -> str:
    """Return an example of a tag for the masks of an image."""
    return f'<BrushLabels name="mask" toName="{image}" smart="false"> with <Label> tags'


def refuse(problems: Iterable[Problem]) -> None:
    """Raise LabelConfigError for the first problem, if any."""
    for problem in problems:
        raise LabelConfigError(f"{problem.where}: {problem.text}", problem.fix)


@lru_cache(maxsize=16)
def parse_label_config(xml: str, *, require_image: bool = True) -> LabelConfig:
    """Parse a label config as Label Studio sends it.

    Names, targets and labels are those that label-studio-sdk reads.

    Args:
        xml: Label config as XML.
        require_image: Whether to refuse a label config without an image.

    Raises:
        LabelConfigError: The text is not XML, declares entities, is too long or too deep, or shows
            no image.
    """
    config = LabelConfig(*read_tags(parse_xml(xml)), xml)
    if require_image and not config.images:
        raise LabelConfigError(
            "the label config shows no Image", 'add <Image name="image" value="$image"/>'
        )
    return config
